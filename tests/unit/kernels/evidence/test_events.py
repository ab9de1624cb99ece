"""What audit events tell of files and frames."""

# The calls of the os module and open() are what is tested.
# ruff: noqa: PTH101, PTH104, PTH123, PTH207, PTH208, SIM115

from __future__ import annotations

import glob
import logging
import os
import pickle
import shutil
import sqlite3
import sys
import tempfile
import warnings
from collections import namedtuple
from collections.abc import Iterator
from inspect import currentframe
from pathlib import Path

import pytest

from respawn_kernels.evidence import audit_hook
from respawn_kernels.evidence.file_events import MAX_PATHS, FileEvents
from respawn_kernels.evidence.frame_events import FrameEvents


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileEvents]:
    monkeypatch.chdir(tmp_path)
    events = FileEvents()
    audit_hook.listen(events.handlers())
    yield events
    audit_hook.stop()


@pytest.fixture
def frames() -> Iterator[FrameEvents]:
    events = FrameEvents(globals())
    audit_hook.listen(events.handlers())
    yield events
    audit_hook.stop()


def test_mode_tells_reading_from_writing(files: FileEvents, tmp_path: Path) -> None:
    for name, mode in (("w", "w"), ("a", "a"), ("w", "r"), ("a", "r+")):
        Path(name).open(mode).close()
        audit_path = str(tmp_path / name)
        assert (audit_path in files.opened) == (mode in ("a", "r", "r+"))
        assert (audit_path in files.written) == (mode != "r")
        files.clear()


@pytest.mark.parametrize(
    ("flags", "reads", "writes"),
    [
        (os.O_RDONLY, True, False),
        (os.O_WRONLY | os.O_CREAT, False, True),
        (os.O_RDWR, True, True),
        (os.O_RDONLY | os.O_CREAT, True, True),
    ],
)
def test_flags_tell_reading_from_writing(
    files: FileEvents, tmp_path: Path, flags: int, reads: bool, writes: bool
) -> None:
    path = str(tmp_path / "file")
    Path(path).touch()
    files.clear()
    os.close(os.open(path, flags))
    assert (path in files.opened, path in files.written) == (reads, writes)


def test_relative_paths_are_those_of_the_directory_at_that_time(files: FileEvents, tmp_path: Path) -> None:
    Path("one").mkdir()
    Path("a").write_text("")
    os.chdir("one")
    Path("b").write_text("")
    assert {str(tmp_path / "one"), str(tmp_path / "a"), str(tmp_path / "one" / "b")} <= files.written


def test_directories_are_looked_at(files: FileEvents, tmp_path: Path) -> None:
    Path("sub").mkdir()
    files.clear()
    os.listdir("sub")
    assert files.opened == {str(tmp_path / "sub")}
    files.clear()
    glob.glob("*.csv")
    assert files.opened == {str(tmp_path)}
    files.clear()
    list(Path("sub").iterdir())
    list(os.walk("sub"))
    assert files.opened == {str(tmp_path / "sub")}
    assert not files.written


def test_importing_lists_directories_and_that_does_not_count(
    files: FileEvents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "module_of_evidence.py").write_text("x = 1")
    files.clear()
    __import__("module_of_evidence")
    assert str(tmp_path) not in files.opened
    assert str(tmp_path / "module_of_evidence.py") in files.opened
    del sys.modules["module_of_evidence"]


def test_what_is_moved_or_linked_is_read_and_made(files: FileEvents, tmp_path: Path) -> None:
    a, b, c = (str(tmp_path / name) for name in "abc")
    Path(a).touch()
    files.clear()
    os.rename(a, b)
    os.link(b, c)
    assert {a, b} <= files.opened
    assert {a, b, c} <= files.written


def test_removed_trees_and_attributes_are_writes(files: FileEvents, tmp_path: Path) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").touch()
    files.clear()
    os.chmod("tree", 0o700)
    os.utime("tree/deep/file")
    shutil.rmtree("tree")
    assert {str(tmp_path / "tree"), str(tmp_path / "tree" / "deep" / "file")} <= files.written


def test_database_is_read_and_may_be_written(files: FileEvents, tmp_path: Path) -> None:
    sqlite3.connect("data.db").close()
    sqlite3.connect(":memory:").close()
    assert files.opened == files.maybe_written == {str(tmp_path / "data.db")}
    assert not files.written


def test_descriptors_that_are_open_already_are_not_files_anew(files: FileEvents, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    files.clear()
    with os.fdopen(os.open(os.devnull, os.O_RDONLY)):
        files.clear()
    os.listdir(descriptor)
    os.close(descriptor)
    assert files.opened == {str(tmp_path)}


def test_path_objects_of_the_notebook_are_not_called(files: FileEvents, tmp_path: Path) -> None:
    called = []

    class Place:
        def __fspath__(self) -> str:
            called.append(1)
            return str(tmp_path)

    os.listdir(Place())
    assert called == [1]
    assert str(tmp_path) in files.opened or files.overflow


def test_directories_stand_for_many_files_and_too_many_are_an_overflow(
    files: FileEvents, tmp_path: Path
) -> None:
    for number in range(MAX_PATHS + 1):
        sys.audit("open", f"/data/{number}", "r", 0)
    assert not files.overflow
    assert "/data" in files.opened
    for number in range(MAX_PATHS + 1):
        sys.audit("open", f"/data/{number}/x/file", "r", 0)
    assert files.overflow


def test_events_of_others_in_a_form_of_their_own_do_no_harm(files: FileEvents) -> None:
    sys.audit("open")
    sys.audit("open", 1)
    sys.audit("os.rename", "a")
    sys.audit("sys._getframe")
    assert not files.overflow


def test_who_looks_into_frames_is_named(frames: FrameEvents) -> None:
    namespace = {"__name__": "looker", "currentframe": currentframe, "sys": sys}
    exec("def look():\n    return sys._getframe(1).f_locals", namespace)
    namespace["look"]()
    assert frames.lookers == {"looker"}
    frames.clear()
    exec("def look():\n    return currentframe().f_back.f_globals", namespace)
    namespace["look"]()
    assert frames.lookers == {"looker"}


def test_who_wants_the_name_of_a_module_or_a_line_is_not(frames: FrameEvents) -> None:
    logging.getLogger("evidence").debug("a")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("b", stacklevel=2)
        logging.getLogger("evidence").warning("c")
    namedtuple("Pair", "a b")
    assert not frames.lookers


def test_a_directory_is_not_written_by_a_temporary_file_in_it(files: FileEvents, tmp_path: Path) -> None:
    with tempfile.TemporaryFile(dir=tmp_path), tempfile.NamedTemporaryFile(dir=tmp_path) as named:
        assert str(tmp_path) not in files.opened | files.written
        assert named.name in files.written
    (tmp_path / "made").mkdir()
    assert str(tmp_path / "made") in files.written
    os.listdir(tmp_path)
    assert str(tmp_path) in files.opened


def test_names_that_a_pickle_refers_to_are_told(frames: FrameEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    main = sys.modules["__main__"]
    kept = type("Kept", (), {"__module__": "__main__"})
    monkeypatch.setattr(main, "Kept", kept, raising=False)
    data = pickle.dumps(kept())
    frames.clear()
    pickle.loads(data)
    assert frames.unpickled == {"Kept"}


def test_nothing_is_seen_when_nobody_listens(files: FileEvents) -> None:
    audit_hook.stop()
    with tempfile.TemporaryFile():
        pass
    assert not files.opened
    assert not files.written


def test_what_a_signal_raises_in_a_handler_reaches_the_notebook() -> None:
    def handler(_arguments: object) -> None:
        raise TimeoutError

    audit_hook.listen({"open": handler})
    try:
        with pytest.raises(TimeoutError):
            open(os.devnull)
    finally:
        audit_hook.stop()
