"""Which paths are the notebook's."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from respawn_kernels.evidence.paths import Paths, places
from respawn_kernels.normal_path import normal_path


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path / "work"), [str(tmp_path / "spool")])


def test_files_of_the_interpreter_the_system_and_ours_are_not(paths: Paths, tmp_path: Path) -> None:
    for path in (os.__file__, pytest.__file__, "/proc/self/maps", "/dev/null", "/usr/bin/bash"):
        assert paths.kept(path) is None, path
    assert paths.kept(str(tmp_path / "spool" / "evidence" / "1.json")) is None
    assert paths.kept(f"{sys.prefix}/share/data") is None


def test_files_of_the_run_and_elsewhere_are(paths: Paths, tmp_path: Path) -> None:
    for path in (str(tmp_path / "work" / "in.csv"), "/data/in.csv", "/srv/lib/module.py"):
        assert paths.kept(path) == path


@pytest.mark.parametrize(
    "path", ["//", "//data/in.csv", "//data//in.csv", "/", "", ".", "..", "in.csv", "///"]
)
def test_every_path_is_decided_on(paths: Paths, path: str) -> None:
    assert paths.kept(path) == path


@pytest.mark.parametrize(
    "spelled", ["//data/in.csv", "///data/in.csv", "//data/./x/../in.csv", "/data//in.csv"]
)
def test_two_slashes_at_the_beginning_are_one(spelled: str) -> None:
    assert normal_path(spelled) == "/data/in.csv"


def test_run_below_the_interpreter_is_kept_all_the_same() -> None:
    run = f"{sys.prefix}/lib/jobs"
    assert Paths(run, []).kept(f"{run}/in.csv") == f"{run}/in.csv"
    assert Paths(run, []).kept(f"{sys.prefix}/lib/other.py") is None


def test_compiled_modules_are_their_sources(paths: Paths) -> None:
    assert paths.kept("/data/__pycache__/helpers.cpython-313.pyc") == "/data/helpers.py"
    assert paths.kept("/data/__pycache__/helpers.cpython-313.opt-1.pyc") == "/data/helpers.py"
    assert paths.kept("/data/__pycache__/helpers.cpython-313.pyc.140213") is None


def test_temporary_files_that_are_gone_are_passing(paths: Paths) -> None:
    with tempfile.NamedTemporaryFile() as file:
        assert not paths.passing(set(), {file.name})
    assert paths.passing(set(), {file.name}) == {file.name}
    assert not paths.passing({"/data/gone"}, {"/data/gone"})


def test_directories_stand_for_many_files() -> None:
    assert places({"/a/1", "/a/2", "/b/1"}, 3) == {"/a/1", "/a/2", "/b/1"}
    assert places({"/a/1", "/a/2", "/b/1"}, 2) == {"/a", "/b"}
    assert places({"/a/1", "/b/1", "/c/1"}, 2) == {"/"}
