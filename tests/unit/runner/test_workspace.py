"""Directories of runners, and names and files that the embedded store gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from respawn_jobs.workspace import Workspace, plain_json, scratch_name, write_text


def test_a_workspace_is_gone_when_it_is_closed(tmp_path: Path) -> None:
    with Workspace(tmp_path) as workspace:
        (workspace.directory("spool") / "blob").write_bytes(b"data")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_runner_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from respawn_jobs.workspace import Workspace;"
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
