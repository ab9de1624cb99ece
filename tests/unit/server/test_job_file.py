"""The file that a job came from is found, or refused with a word; it is replaced whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager
from jupyter_server.services.contents.manager import ContentsManager

from respawn_jobs.errors import Conflict, InvalidInput
from respawn_server.job_file import find, replace


@pytest.fixture
def contents(tmp_path: Path) -> Any:
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "in" / "job.ipynb").write_text("{}")
    (tmp_path / "beside.ipynb").write_text("{}")
    return AsyncFileContentsManager(root_dir=str(root))


def source(contents: Any, inside: str) -> str:
    return f"{contents.root_dir}/{inside}"


def test_file_below_the_root_is_found(contents: Any) -> None:
    found = find(contents, source(contents, "in/job.ipynb"))
    assert (found.path, found.text) == ("in/job.ipynb", "{}")


def test_file_is_found_by_its_real_path_below_a_root_that_is_a_link(contents: Any, tmp_path: Path) -> None:
    real = source(contents, "in/job.ipynb")
    (tmp_path / "link").symlink_to(contents.root_dir, target_is_directory=True)
    linked = AsyncFileContentsManager(root_dir=str(tmp_path / "link"))
    assert find(linked, real).path == "in/job.ipynb"
    assert find(linked, f"{tmp_path}/link/in/job.ipynb").path == "in/job.ipynb"


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        ("../beside.ipynb", "no plain path"),
        ("in/../in/job.ipynb", "no plain path"),
        ("in/job.ipynb\0", "no plain path"),
        ("in", "is not a file"),
        ("none.ipynb", "no longer there"),
        ("none/at/all.ipynb", "no longer there"),
        ("in/.hidden.ipynb", "is hidden"),
        ("in/latin.ipynb", "not UTF-8"),
        ("in/pipe", "is not a file"),
    ],
)
def test_what_is_no_file_to_write_to_is_refused(contents: Any, inside: str, why: str) -> None:
    Path(source(contents, "in/.hidden.ipynb")).write_text("{}")
    Path(source(contents, "in/latin.ipynb")).write_bytes(b"\xe9")
    os.mkfifo(source(contents, "in/pipe"))
    with pytest.raises(InvalidInput, match=why):
        find(contents, source(contents, inside))


@pytest.mark.parametrize("where", ["beside.ipynb", "root-2/job.ipynb"])
def test_file_outside_of_the_root_is_refused(contents: Any, tmp_path: Path, where: str) -> None:
    with pytest.raises(InvalidInput, match="not below the root"):
        find(contents, str(tmp_path / where))


def test_relative_path_of_another_server_is_refused(contents: Any) -> None:
    with pytest.raises(InvalidInput, match="no plain path"):
        find(contents, "in/job.ipynb")


def test_server_whose_contents_are_no_files_is_refused_by_name() -> None:
    class Elsewhere(ContentsManager):
        root_dir = "/"

    with pytest.raises(InvalidInput, match=r"no files of its machine.*Elsewhere"):
        find(Elsewhere(), "/in/job.ipynb")


def test_file_is_replaced_with_its_mode_and_nothing_lies_beside_it(contents: Any) -> None:
    seen = find(contents, source(contents, "in/job.ipynb"))
    seen.file.chmod(0o664)
    before = seen.file.stat()
    replace(seen, '{"a": "é"}')
    assert seen.file.read_text(encoding="utf-8") == '{"a": "é"}'
    assert stat.S_IMODE(seen.file.stat().st_mode) == 0o664
    assert seen.file.stat().st_mtime_ns >= before.st_mtime_ns
    assert list(seen.file.parent.iterdir()) == [seen.file]


def test_file_that_is_not_as_seen_is_left(contents: Any) -> None:
    seen = find(contents, source(contents, "in/job.ipynb"))
    seen.file.write_text("{ }")
    with pytest.raises(Conflict, match="changed meanwhile"):
        replace(seen, "[]")
    assert seen.file.read_text() == "{ }"
    seen.file.unlink()
    with pytest.raises(Conflict, match="could not be written"):
        replace(seen, "[]")
    assert list(seen.file.parent.iterdir()) == []
