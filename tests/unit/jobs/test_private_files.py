"""The store's files are their owner's only, whatever the umask, and are closed when they are found open."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion
from respawn_jobs.errors import InvalidInput
from respawn_jobs.host.private_files import private_directory
from respawn_jobs.keyring import FILE
from respawn_jobs.ledger import Ledger
from respawn_jobs.store.database import Database
from support.commands import ran
from support.notebooks import notebook, text


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _open_paths(data: Path) -> list[Path]:
    return [path for path in (data, *data.rglob("*")) if _mode(path) & 0o077]


def _filled(data: Path) -> Ledger:
    ledger = Ledger.embedded(data)
    ledger.as_actor(Actor.owner("ada")).promote(Promotion(name="report", notebook=text(notebook("1"))))
    return ledger


def test_a_new_store_is_its_owners_only(tmp_path: Path) -> None:
    ledger = _filled(tmp_path / "new" / "data")
    found = _open_paths(tmp_path / "new" / "data")
    names = {path.name for path in (tmp_path / "new" / "data").iterdir()}
    ledger.close()
    assert {"respawn.db", "respawn.db-wal", "respawn.db-shm", "blobs", FILE} <= names
    assert found == []


def test_a_store_that_is_open_to_others_is_closed_when_it_is_opened(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = _filled(data)
    for path in (data, *data.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    second = Ledger.embedded(data)
    second.as_actor(Actor.owner("ada")).jobs()
    closed = (
        {_mode(path) for path in (data, data / "blobs")},
        {_mode(p) for p in data.glob("*") if p.is_file()},
    )
    second.close()
    first.close()
    assert closed == ({0o700}, {0o600})


def test_the_command_closes_the_store_that_it_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    _filled(data).close()
    data.chmod(0o755)
    (data / "respawn.db").chmod(0o644)
    monkeypatch.setenv("RESPAWN_DATA", str(data))
    ran(Path(sys.executable), "jobs")
    assert (_mode(data), _mode(data / "respawn.db")) == (0o700, 0o600)


def test_a_database_elsewhere_is_closed_and_its_directory_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "metadata.db"
    path.touch(0o644)
    Database(f"sqlite:///{path}").close()
    assert (_mode(path), _mode(tmp_path)) == (0o600, 0o755)


def test_a_directory_of_everybody_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(InvalidInput, match="choose one for Respawn alone"):
        Ledger.embedded(shared)
    assert _mode(shared) == 0o1777
    assert list(shared.iterdir()) == []


def test_a_directory_that_cannot_be_closed_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o750)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(InvalidInput, match=rf"chmod 700 {data}"):
        private_directory(data)
