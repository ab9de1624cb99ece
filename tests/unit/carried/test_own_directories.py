"""The directory of its own in which an attempt works: what lies in it, for how long, and for whom."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from respawn_jobs.api.carried_files import NewFile
from respawn_jobs.api.runner_protocol import Assignment, LeftFile, OwnDirectory, ResumeFrom
from respawn_jobs.carried.archive import packed
from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.host import own_directories
from respawn_jobs.host.own_directories import OwnDirectories
from respawn_jobs.runner.own_directory import laid_out

FILES, ARCHIVE = packed([NewFile.of("helpers.py", b"x = 1\n"), NewFile.of("rates.csv", b"1\n")])
OWN = OwnDirectory(name="nightly-run-0123456789", files=FILES, bundle="b" * 64)
RESUME = ResumeFrom(first=2, manifest="m" * 64)


class Port:
    """A service that has the archive."""

    def get_blob(self, digest: str) -> bytes:
        assert digest == OWN.bundle
        assert ARCHIVE is not None
        return ARCHIVE


def assignment(resume: ResumeFrom | None = None) -> Assignment:
    return Assignment(
        attempt="att-0123456789", run="run-0123456789", job="user/ada/nightly", version=1, number=1,
        notebook="n" * 64, kernel="python3", language="python", directory=None, parameters={},
        timeout_seconds=None, cell_timeout_seconds=None, lease_seconds=30, resume=resume,
    )  # fmt: skip


def entered(root: Path, own: OwnDirectory = OWN, resume: ResumeFrom | None = None, **more: str) -> Any:
    port: Any = Port()
    return laid_out(port, assignment(resume), own, {"RESPAWN_WORK": str(root), **more})


def names(path: Path) -> set[str]:
    return {one.name for one in path.iterdir()}


def test_from_the_top_there_is_what_the_version_carries_and_nothing_else(tmp_path: Path) -> None:
    first = entered(tmp_path)
    (first.path / "made.txt").write_text("by the first try")
    (first.path / "rates.csv").write_text("changed")
    first.close(succeeded=False)
    again = entered(tmp_path)
    assert again.path == first.path
    assert names(again.path) == {"helpers.py", "rates.csv"}
    assert (again.path / "rates.csv").read_text() == "1\n"
    again.close(succeeded=False)


def test_what_goes_on_finds_what_was_left_and_new_what_was_edited(tmp_path: Path) -> None:
    first = entered(tmp_path)
    for name in ("made.txt", "rates.csv", "helpers.py", "old.py"):
        (first.path / name).write_text("by the run")
    first.close(succeeded=False)
    left = [LeftFile(path="made.txt", cell=1)]
    going_on = OWN.model_copy(update={"edited": ["helpers.py", "old.py"], "left": left})
    again = entered(tmp_path, going_on, RESUME)
    assert names(again.path) == {"helpers.py", "rates.csv", "made.txt"}
    assert (again.path / "helpers.py").read_text() == "x = 1\n"
    assert (again.path / "rates.csv").read_text() == "by the run", "a cell changed it, and nobody edited it"
    again.close(succeeded=False)


def test_what_is_gone_is_said_before_anything_is_executed(tmp_path: Path) -> None:
    left = [LeftFile(path=f"{name}.txt", cell=1) for name in "abcd"]
    going_on = OWN.model_copy(update={"left": left})
    with pytest.raises(InvalidInput, match=r"lacks .* a\.txt of cell 1, .* and 1 more\. .* restart the run"):
        entered(tmp_path, going_on, RESUME)
    entered(tmp_path).close(succeeded=False)  # nobody holds it any more


def test_on_another_machine_an_attempt_that_needs_nothing_left_gets_the_files(tmp_path: Path) -> None:
    elsewhere = entered(tmp_path, OWN, RESUME)
    assert names(elsewhere.path) == {"helpers.py", "rates.csv"}
    elsewhere.close(succeeded=False)


def test_one_that_succeeded_and_left_nothing_is_removed(tmp_path: Path) -> None:
    for made, stays in (("__pycache__/helpers.pyc", False), ("out/made.txt", True)):
        one = entered(tmp_path)
        (one.path / made).parent.mkdir()
        (one.path / made).write_text("")
        one.close(succeeded=True)
        assert one.path.exists() is stays
    failed = entered(tmp_path)
    failed.close(succeeded=False)
    assert failed.path.exists()


def test_two_attempts_never_work_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_directories, "_WAIT_SECONDS", 0.3)
    first = entered(tmp_path)
    with pytest.raises(Unavailable, match="another attempt still works"):
        entered(tmp_path)
    first.close(succeeded=False)
    entered(tmp_path).close(succeeded=False)


def test_directories_go_after_their_days_but_not_while_somebody_works_there(tmp_path: Path) -> None:
    directories = OwnDirectories({"RESPAWN_WORK": str(tmp_path), "RESPAWN_WORK_DAYS": "2"})
    paths = {}
    for name, days in (("old", 3), ("new", 1), ("busy", 3)):
        path, lock = directories.enter(name)
        paths[name] = path
        os.utime(tmp_path / f".{name}.lock", (time.time() - days * 86400,) * 2)
        if name == "busy":
            held = lock
        else:
            lock.close()
    directories.sweep(time.time())
    assert {name for name, path in paths.items() if path.exists()} == {"new", "busy"}
    held.close()


def test_they_lie_in_the_home_of_the_account_and_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    directories = OwnDirectories({})
    directories.enter("one")[1].close()
    assert directories.root == tmp_path / "respawn-work"
    assert directories.root.stat().st_mode & 0o077 == 0
