"""Carried files: packed the same each time, laid out whole, and never outside of their directory."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from respawn_jobs.api.carried_files import NewFile
from respawn_jobs.carried.archive import content_of, lay_out, packed
from respawn_jobs.carried.changes import changed_places, file_changes, in_words, same_files
from respawn_jobs.errors import Corrupt, InvalidInput

TIME = 1_700_000_000_000_000
FILES = [
    NewFile.of("lib/a.py", b"x = 1\n", modified=TIME),
    NewFile.of("run.sh", b"#!/bin/sh\n", modified=TIME, executable=True),
    NewFile.of("empty", b"", modified=TIME),
]


def test_what_was_packed_is_laid_out(tmp_path: Path) -> None:
    files, archive = packed(FILES)
    lay_out(archive, files, tmp_path)
    assert (tmp_path / "lib/a.py").read_bytes() == b"x = 1\n"
    assert (tmp_path / "lib/a.py").stat().st_mtime_ns == TIME * 1000
    assert os.access(tmp_path / "run.sh", os.X_OK)
    assert not os.access(tmp_path / "lib/a.py", os.X_OK)
    assert (tmp_path / "empty").read_bytes() == b""
    assert [content_of(archive, file) for file in files] == [b"", b"x = 1\n", b"#!/bin/sh\n"]


def test_the_same_files_give_the_same_archive() -> None:
    later = [one.model_copy(update={"modified": TIME + 5}) for one in reversed(FILES)]
    assert packed(FILES)[1] == packed(later)[1]
    assert same_files(packed(FILES)[0], packed(later)[0])


def test_no_files_make_no_archive(tmp_path: Path) -> None:
    files, archive = packed([])
    assert (files, archive) == ([], None)
    lay_out(archive, files, tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "a\nb",
        "a\0b",
        "x" * 256,
        "a/" * 600 + "b",
    ],
)
def test_a_path_that_is_none_below_a_directory_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="no path of a file"):
        packed([NewFile.of(path, b"x")])


def test_files_that_cannot_lie_together_are_refused() -> None:
    with pytest.raises(InvalidInput, match="given twice"):
        packed([NewFile.of("a", b"x"), NewFile.of("a", b"y")])
    with pytest.raises(InvalidInput, match="a cannot be a file and the directory of a/b"):
        packed([NewFile.of("a", b"x"), NewFile.of("a/b", b"y")])
    with pytest.raises(InvalidInput, match="not base64"):
        packed([NewFile(path="a", content="!")])


def test_what_lies_in_the_way_of_a_file_gives_way_and_nothing_is_written_elsewhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    place = tmp_path / "run"
    place.mkdir()
    (place / "lib").symlink_to(outside)
    (place / "run.sh").mkdir()
    files, archive = packed(FILES)
    lay_out(archive, files, place)
    assert list(outside.iterdir()) == []
    assert (place / "lib/a.py").is_file()
    assert (place / "run.sh").is_file()


def test_a_module_that_is_written_anew_is_compiled_anew(tmp_path: Path) -> None:
    files, archive = packed(FILES)
    lay_out(archive, files, tmp_path)
    compiled = tmp_path / "lib/__pycache__/a.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"old")
    lay_out(archive, files, tmp_path, only={"lib/a.py"})
    assert not compiled.exists()


def test_an_archive_that_is_not_what_the_version_says_is_no_file(tmp_path: Path) -> None:
    files, _ = packed(FILES)
    larger = io.BytesIO()
    with zipfile.ZipFile(larger, "w") as archive:
        archive.writestr("lib/a.py", b"x = 1\n" * 1000)
    for given, said in ((larger.getvalue(), "not what was promoted"), (b"no zip", "cannot be read")):
        with pytest.raises(Corrupt, match=said):
            lay_out(given, files[1:2], tmp_path)
    with pytest.raises(Corrupt, match="cannot be read"):
        lay_out(larger.getvalue(), files[2:], tmp_path)
    assert not (tmp_path / "lib/a.py").exists()


def test_versions_are_compared_by_what_they_carry() -> None:
    old, _ = packed(FILES)
    new, _ = packed([FILES[0].model_copy(update={"executable": True}), NewFile.of("b.py", b""), FILES[2]])
    assert in_words(file_changes(old, new)) == "b.py added, lib/a.py changed, run.sh removed"
    assert file_changes(old, old) == []
    assert (changed_places(None, []), changed_places(old, [])) == (("notebook", "own"), None)
    assert (same_files(None, None), same_files(None, [])) == (True, False)


def test_nothing_is_laid_out_beside_the_directory(tmp_path: Path) -> None:
    files, archive = packed(FILES)
    led_out = [files[1].model_copy(update={"path": "../up.py"})]
    with pytest.raises(InvalidInput, match="no path of a file"):
        lay_out(archive, led_out, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
