"""Packages without wheels are built when they are named, by tools of the lock, once their hash is checked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from respawn_environments import build as building
from respawn_environments.catalog import environments
from respawn_environments.definition import EnvironmentSource
from respawn_environments.drift import drift, installed_in
from respawn_environments.errors import EnvironmentFailed, ProgramMissing
from respawn_environments.installing import virtual_environment
from respawn_environments.interpreters import find_interpreters
from respawn_environments.lockfile import lock_hash, read_lock
from support.tiny_environments import build, locked, offline, source, source_distribution

pytestmark = pytest.mark.integration
FROM_SOURCE = '[from-source]\npackages = ["tiny_source"]\ntools = ["tiny-backend"]\n'


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is there once the build backend has run."""
    offline(monkeypatch, tmp_path / "wheels")
    monkeypatch.setenv("TINY_BUILT", str(tmp_path / "ran"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "ran"


@pytest.fixture
def tiny(ran: Path, tmp_path: Path) -> EnvironmentSource:
    """An environment whose package has no wheel."""
    return locked(tmp_path / "tiny", *source_distribution(tmp_path / "wheels"), more=FROM_SOURCE)


@pytest.mark.long
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_has_no_wheel_is_built_by_the_tools_of_the_lock(
    installer: str, tiny: EnvironmentSource, tmp_path: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installer == "pip":
        monkeypatch.setattr(virtual_environment, "find_uv", lambda: None)
    told: list[str] = []
    made = build(tiny, tmp_path, told)
    assert made.version == find_interpreters()[0].minor
    assert "building tiny-source from source" in told
    assert ran.exists()
    command = [made.python, "-c", "import tiny_source; print(tiny_source.value)"]
    assert subprocess.check_output(command, text=True) == "5\n"
    (found,) = environments(tmp_path / "envs")
    assert drift(found.lock, installed_in(found.python), records=found.record.records) == []
    assert not [path.name for path in found.directory.iterdir() if path.name == ".respawn-build"]


@pytest.mark.long
def test_nothing_of_a_source_distribution_runs_before_its_hash_is_checked(
    tiny: EnvironmentSource, tmp_path: Path, ran: Path
) -> None:
    with (tmp_path / "wheels" / "tiny_source-1.0.tar.gz").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(EnvironmentFailed, match=r"(?is)tiny.source.*sha256.*[0-9a-f]{64}"):
        build(tiny, tmp_path)
    assert not ran.exists()
    assert not list((tmp_path / "envs").glob("tiny-*"))


@pytest.mark.long
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_has_no_wheel_and_is_not_named_is_refused_with_the_fix(
    installer: str, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installer == "pip":
        monkeypatch.setattr(virtual_environment, "find_uv", lambda: None)
    unnamed = locked(tmp_path / "tiny", *source_distribution(tmp_path / "wheels"))
    with pytest.raises(EnvironmentFailed, match=r"(?s)tiny-source.*\[from-source\]"):
        build(unnamed, tmp_path, python=find_interpreters()[0].minor)
    assert not ran.exists()


def test_the_lock_says_what_is_built_from_source_so_its_hash_does(
    tiny: EnvironmentSource, tmp_path: Path
) -> None:
    assert {one.name: one.from_source for one in read_lock(tiny.lock)} == {
        "tiny-source": True,
        "tiny-backend": False,
    }
    before = lock_hash(tiny.lock)
    tiny.lock.write_text(tiny.lock.read_text().replace("--no-binary tiny-source\n", ""))
    assert lock_hash(tiny.lock) != before


def test_a_program_that_is_missing_is_named_before_anything_is_made(tmp_path: Path) -> None:
    more = 'system-packages = { no-such-program = "no-such-package", sh = "dash" }\n'
    wanting = source(tmp_path / "tiny", more=more)
    wanting.lock.write_text("")
    with pytest.raises(ProgramMissing) as told:
        building.create(wanting, root=tmp_path / "envs", prefix=tmp_path / "prefix")
    assert str(told.value) == (
        "tiny needs no-such-program, which is not on PATH: "
        "install it (Debian: apt-get install no-such-package)"
    )
    assert not (tmp_path / "envs").exists()
