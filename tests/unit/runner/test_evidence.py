"""What the runner takes from the spool of what the kernel saw of a cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_jobs.model import evidence
from respawn_kernels.evidence import CellEvidence


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "evidence").mkdir()
    return tmp_path


def write(spool: Path, count: int, text: str) -> None:
    (spool / "evidence" / f"{count}.json").write_text(text)


def test_it_is_taken_once(spool: Path) -> None:
    seen = CellEvidence(reads=("a",), background_work=("thread worker-1",))
    write(spool, 3, seen.to_json())
    assert evidence.take(spool, 3) == seen
    assert evidence.take(spool, 3) is None
    assert evidence.take(spool, None) is None


@pytest.mark.parametrize("text", ["", "[]", '{"reads": ["a"', "7", "{" * 100_000])
def test_what_cannot_be_read_says_so(spool: Path, text: str) -> None:
    write(spool, 1, text)
    found = evidence.take(spool, 1)
    assert found is not None
    assert "cannot be read" in str(found.unwatched)


def test_too_much_is_an_overflow_that_keeps_what_matters_most(spool: Path) -> None:
    seen = CellEvidence(
        reads=tuple(f"name_{number}" for number in range(10_000)), changed=("#random",), outside=("socket",)
    )
    write(spool, 1, seen.to_json())
    found = evidence.take(spool, 1)
    assert found == CellEvidence(overflow=True, changed=("#random",), outside=("socket",))


def test_files_that_were_only_read_are_kept_with_size_and_time(spool: Path, tmp_path: Path) -> None:
    data, made = tmp_path / "data.csv", tmp_path / "made.csv"
    data.write_text("a,b")
    made.write_text("a")
    seen = CellEvidence(
        opened=(str(data), str(made), str(tmp_path), str(tmp_path / "gone.csv")), written=(str(made),)
    )
    write(spool, 1, seen.to_json())
    found = evidence.take(spool, 1)
    assert found is not None
    assert found.inputs == ((str(data), 3, data.stat().st_mtime_ns),)
    assert found == CellEvidence.from_json(found.to_json())


def test_names_of_files_that_are_no_text_can_be_stored(spool: Path) -> None:
    write(spool, 1, '{"opened": ["/data/\\udcff.csv"]}')
    found = evidence.take(spool, 1)
    assert found is not None
    assert found.opened == ("/data/?.csv",)
