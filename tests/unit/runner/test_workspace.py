"""Directories of runners, and names and files that the embedded store gives."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from respawn_jobs.embedded.local_store import plain_json, scratch_name
from respawn_jobs.host.atomic_write import write_text
from respawn_jobs.host.workspace import Workspace, workspaces


def test_a_workspace_is_gone_when_it_is_closed(tmp_path: Path) -> None:
    with Workspace(tmp_path) as workspace:
        (workspace.directory("spool") / "blob").write_bytes(b"data")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_runner_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from respawn_jobs.host.workspace import Workspace;"
        "Workspace(pathlib.Path(sys.argv[1])).directory('spool'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    with Workspace(tmp_path) as workspace:
        assert not left.exists()
        assert list(tmp_path.iterdir()) == [workspace.path]


def test_a_living_runner_keeps_its_workspace(tmp_path: Path) -> None:
    with Workspace(tmp_path) as first, Workspace(tmp_path) as second:
        assert first.path.exists()
        assert second.path.exists()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/Monthly Report.ipynb", "~monthly-report"),
        ("__init__.ipynb", "~init"),
        ("Übersicht.ipynb", "~bersicht"),
        ("日本.ipynb", "~notebook"),
        (None, "~notebook"),
        ("x" * 200 + ".ipynb", "~" + "x" * 61),
    ],
)
def test_scratch_jobs_are_named_after_their_notebook(path: str | None, name: str) -> None:
    assert scratch_name(path) == name


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out.ipynb"
    target.write_text("before")
    with pytest.raises(TypeError):
        write_text(target, cast("str", b"bytes"))
    assert (target.read_text(), list(tmp_path.iterdir())) == ("before", [target])


def test_what_utf_8_cannot_write_does_not_keep_the_rest_from_being_written(tmp_path: Path) -> None:
    write_text(tmp_path / "out.ipynb", "text \ud800")
    assert (tmp_path / "out.ipynb").read_text() == "text ?"


def test_a_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "out.ipynb", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "out.ipynb").stat().st_mode & 0o777 == 0o640


def test_values_that_json_does_not_know_become_text() -> None:
    assert plain_json({"at": Path("a/b"), "n": (1, 2)}) == {"at": "a/b", "n": [1, 2]}


def test_workspaces_lie_in_a_directory_that_is_closed_to_others(tmp_path: Path) -> None:
    first = workspaces(tmp_path)
    assert first == tmp_path / f"respawn-{os.getuid()}"
    assert stat.S_IMODE(first.lstat().st_mode) == 0o700
    assert workspaces(tmp_path) == first


def _link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere, target_is_directory=True)


def _open_directory(path: Path, _: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def _file(path: Path, _: Path) -> None:
    path.touch()


def _of_another(path: Path, _: Path) -> None:
    path.mkdir(mode=0o700)
    if os.getuid() != 0:
        pytest.skip("only root can give a directory to another account")
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize("occupy", [_link, _open_directory, _file, _of_another])
def test_a_name_that_somebody_else_has_taken_is_passed_over(
    tmp_path: Path, occupy: Callable[[Path, Path], None]
) -> None:
    place, elsewhere = tmp_path / "tmp", tmp_path / "elsewhere"
    place.mkdir()
    elsewhere.mkdir(mode=0o700)
    occupy(place / f"respawn-{os.getuid()}", elsewhere)
    occupy(place / f"respawn-{os.getuid()}-guessed", elsewhere)
    found = workspaces(place)
    assert found not in {place / f"respawn-{os.getuid()}", place / f"respawn-{os.getuid()}-guessed"}
    assert stat.S_IMODE(found.lstat().st_mode) == 0o700
    assert workspaces(place) == found, "the next runner finds it, and what others left in it"
    assert list(elsewhere.iterdir()) == []
