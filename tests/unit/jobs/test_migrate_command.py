"""`respawn admin migrate`: what it does to a database, and what it tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from respawn_jobs.store import database as module
from respawn_jobs.store.database import Database
from respawn_jobs.store.schema import OURS
from support.later_schemas import release_0_3

_Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the present code, for a command of release 0.3."""
    file = tmp_path / "data" / "respawn.db"
    database = Database(f"sqlite:///{file}")
    database.prepare()
    database.close()
    monkeypatch.setenv("RESPAWN_DATA", str(file.parent))
    schema = release_0_3(tmp_path / "next")
    monkeypatch.setattr(module, "Database", partial(Database, schema=schema))
    return file


def test_it_goes_forward_contractions_too_and_back(store: Path, command: _Command) -> None:
    status, out, _ = command("admin", "migrate", "--dry-run")
    assert (status, out.count("would be applied")) == (0, 2)
    assert _revision(store) == OURS.head

    status, out, _ = command("admin", "migrate")
    assert status == 0
    assert out.splitlines() == [
        "migration 0002 (expand, release 0.2) applied",
        "migration 0003 (contract, release 0.3) applied",
    ]
    assert command("admin", "migrate")[1] == "the database is at 0003 already\n"

    status, out, _ = command("admin", "migrate", "--to", "0.2", "--json")
    assert status == 0
    document = json.loads(out)
    assert (document["before"], document["after"], document["direction"]) == ("0003", "0002", "back")
    status, out, _ = command("admin", "migrate", "--to", OURS.head)
    assert out == "migration 0002 (expand, release 0.2) taken back\n"
    assert _revision(store) == OURS.head


def test_it_refuses_what_would_lose_data_and_names_them(store: Path, command: _Command) -> None:
    command("admin", "migrate", "--to", "0.2")
    database = Database(f"sqlite:///{store}")
    with database.session(write=True) as session:
        session.execute(text("INSERT INTO paints (name) VALUES ('blue')"))
    database.close()
    for more in ([], ["--dry-run"]):
        status, _, err = command("admin", "migrate", "--to", "0.1", *more)
        assert status != 0
        assert "would lose data: table paints has 1 record" in err
    assert _revision(store) == "0002"


@pytest.mark.parametrize("wrong", ["0.9", "0007", "yesterday"])
def test_it_refuses_what_it_does_not_know(store: Path, command: _Command, wrong: str) -> None:
    status, _, err = command("admin", "migrate", "--to", wrong)
    assert status != 0
    assert wrong in err
    assert _revision(store) == OURS.head


def test_it_makes_no_new_store(tmp_path: Path, command: _Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "elsewhere"))
    status, _, err = command("admin", "migrate")
    assert status != 0
    assert "there is no store" in err


def test_an_older_command_says_to_use_the_newer_one(
    store: Path, command: _Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("admin", "migrate")
    monkeypatch.setattr(module, "Database", Database)
    for words in (("migrate",), ("verify",)):
        status, _, err = command("admin", *words)
        assert status != 0
        assert "use the command of the" in err


def _revision(file: Path) -> str | None:
    database = Database(f"sqlite:///{file}")
    try:
        return database.revision()
    finally:
        database.close()
