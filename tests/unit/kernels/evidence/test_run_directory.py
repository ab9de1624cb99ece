"""What a look at the run's directory tells of files that no audit event is about."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from respawn_kernels.evidence.paths import Paths
from respawn_kernels.evidence.run_directory import MAX_ENTRIES, RunDirectory
from respawn_kernels.exchange.cell_evidence import DIRECTORY, GONE


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "old.csv").write_text("1")
    directory = RunDirectory(str(tmp_path), Paths(str(tmp_path), [str(tmp_path / "spool")]).kept)
    directory.begin()
    return directory


def test_files_made_changed_and_removed_are_told_once(run: RunDirectory, tmp_path: Path) -> None:
    assert not run.changes()
    (tmp_path / "new.parquet").write_text("x")
    (tmp_path / "data" / "old.csv").write_text("12")
    assert run.changes() == {str(tmp_path / "new.parquet"), str(tmp_path / "data" / "old.csv")}
    assert not run.changes()
    (tmp_path / "new.parquet").unlink()
    assert run.changes() == {str(tmp_path / "new.parquet")}


def test_file_of_the_same_size_and_time_that_took_its_place_is_told(
    run: RunDirectory, tmp_path: Path
) -> None:
    old, new = tmp_path / "data" / "old.csv", tmp_path / "data" / "new.csv"
    status = old.stat()
    new.write_text("2")
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(old)
    assert run.changes() == {str(old)}


def test_store_in_the_run_directory_is_passed_over(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "d" / "blobs" / "ab").mkdir(parents=True)
    for name in ("d/respawn.db", "d/respawn.db-wal", "d/blobs/ab/abcd"):
        (tmp_path / name).write_text("x")
    assert not run.changes()
    (tmp_path / "respawn.db").write_text("x")
    (tmp_path / "respawn.db-wal").write_text("x")
    (tmp_path / "out.csv").write_text("x")
    assert run.changes() == {str(tmp_path / "out.csv")}


@pytest.mark.parametrize(
    "name",
    [
        ".run.ipynb.12ab34cd",
        ".git/index",
        "run.ipynb",
        "__pycache__/m.cpython-311.pyc",
        "spool/evidence/1.json",
    ],
)
def test_hidden_files_notebooks_and_our_own_are_passed_over(
    run: RunDirectory, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("x")
    assert not run.changes()


def test_files_elsewhere_are_looked_at_once_a_cell_opened_them(
    run: RunDirectory, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "table.h5"
    elsewhere.write_text("x")
    assert not run.changes()
    run.know([str(elsewhere)])
    assert not run.changes()
    elsewhere.write_text("xy")
    assert run.changes() == {str(elsewhere)}


def test_links_to_nowhere_and_loops_do_no_harm(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "data" / "loop").symlink_to(tmp_path)
    (tmp_path / "last").write_text("x")
    assert str(tmp_path / "last") in run.changes()
    assert run.why_not is None


def test_directory_with_too_many_files_is_said_and_not_looked_at(run: RunDirectory, tmp_path: Path) -> None:
    for number in range(MAX_ENTRIES + 1):
        (tmp_path / "data" / str(number)).touch()
    assert not run.changes()
    assert run.why_not is not None
    (tmp_path / "new").touch()
    assert not run.changes()


def test_slow_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    seconds: Callable[[], int] = count().__next__
    run = RunDirectory(str(tmp_path), lambda path: path, seconds)
    run.begin()
    assert run.why_not == "the disk is too slow"


def test_busy_machine_is_no_slow_disk(tmp_path: Path) -> None:
    ticks = count()
    run = RunDirectory(str(tmp_path), lambda path: path, lambda: next(ticks) * 0.03)
    for _ in range(4):
        run.begin()
        run.changes()
    assert run.why_not is not None
    quick = RunDirectory(str(tmp_path), lambda path: path, lambda: next(ticks) * 0.001)
    for _ in range(9):
        quick.begin()
        quick.changes()
    assert quick.why_not is None


def test_how_files_were_before_is_told(run: RunDirectory, tmp_path: Path) -> None:
    old, new = tmp_path / "data" / "old.csv", tmp_path / "new.csv"
    before = old.stat()
    old.unlink()
    new.write_text("x")
    assert run.changes() == {str(old), str(new)}
    assert run.found(str(old)) == (before.st_size, before.st_mtime_ns)
    assert run.found(str(new)) == GONE
    assert run.found(str(tmp_path / "data")) == DIRECTORY
    assert run.found(str(tmp_path / ".hidden")) is None
    assert run.found("/elsewhere/file") is None
    run.changes()
    assert run.found(str(old)) == GONE


def test_known_files_of_a_directory_with_too_many_are_looked_at(tmp_path: Path) -> None:
    for number in range(MAX_ENTRIES + 1):
        (tmp_path / str(number)).touch()
    run = RunDirectory(str(tmp_path), lambda path: path)
    run.begin()
    run.know([str(tmp_path / "1")])
    (tmp_path / "1").write_text("x")
    assert run.changes() == {str(tmp_path / "1")}
    assert run.found(str(tmp_path / "1")) is not None
