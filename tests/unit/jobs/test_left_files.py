"""What a run changed below a state, by what was seen of its cells, and what must be made again for that."""

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import footprints, observed
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.resume.files.left_files import LeftFiles, describe_left_files
from respawn_jobs.resume.invalidation.reruns import Reruns, Step
from respawn_kernels.evidence import CellEvidence
from support.notebooks import notebook

MAKES, APART, APPENDS = "open('log.txt', 'w').close()", "n = 1", "open('log.txt', 'a').close()"
FAILED = "seen = 2\n1/0"


def reruns(
    last: str,
    evidence: CellEvidence | None,
    failed: str = FAILED,
    makes: str = MAKES,
    seen: CellEvidence | None = None,
) -> Reruns:
    """What runs again above the state before a failed cell, for which `last` comes in the fixed notebook."""
    kept = [makes, APART]
    states = [CellState.EXECUTED, CellState.EXECUTED, CellState.FAILED]
    cells = [
        CellRecord(index=at, cell_id=str(at), state=state, source_hash=str(at))
        for at, state in enumerate(states)
    ]
    cells[2] = cells[2].model_copy(update={"evidence": evidence})
    old, new = footprints(kept), footprints([*kept, last])
    old[0], new[0] = (observed(one[0], seen, directory="/place") for one in (old, new))
    steps = [*(Step(one, other) for one, other in zip(old, new, strict=False)), Step(None, new[2], "edited")]
    left = LeftFiles(cells, notebook(*kept, failed), "/place", python=True)
    return left.reruns(steps, [*cells[:2], None], 2, lambda at: f"cell {at}")


def test_a_file_that_the_failed_cell_was_seen_to_change_is_made_again() -> None:
    found = reruns(APPENDS, CellEvidence(written=("/place/log.txt",)))
    assert list(found.why) == [0]
    assert found.left == set()


def test_a_file_that_is_written_anew_is_not_made_again() -> None:
    assert reruns(MAKES, CellEvidence(written=("/place/log.txt",))).why == {}


def test_another_file_makes_nothing_run_again() -> None:
    assert reruns(APPENDS, CellEvidence(written=("/place/other.txt",))).why == {}


@pytest.mark.parametrize(
    "evidence",
    [
        CellEvidence(outside=("process",)),
        CellEvidence(background_work=("thread worker",)),
        CellEvidence(overflow=True),
        CellEvidence(files_unwatched="too many files"),
    ],
)
def test_a_cell_that_may_have_changed_files_unseen_has_changed_all(evidence: CellEvidence) -> None:
    assert 0 in reruns(APPENDS, evidence).why


def test_a_file_that_no_cell_makes_anew_is_left() -> None:
    found = reruns("open('given.txt', 'a').close()", CellEvidence(written=("/place/given.txt",)))
    assert found.left == {"#file:given.txt"}


@pytest.mark.parametrize(
    "failed", [APPENDS, "exec(text)", "%unknown_magic", "import subprocess\nsubprocess.run('x')"]
)
def test_of_a_cell_whose_kernel_died_the_source_tells_which_files_it_may_have_changed(failed: str) -> None:
    assert 0 in reruns(APPENDS, None, failed).why


def test_a_cell_whose_kernel_died_and_that_uses_no_file_has_changed_none() -> None:
    assert reruns(APPENDS, None, "total = n + 1").why == {}


@pytest.mark.parametrize(
    ("evidence", "again"),
    [
        (CellEvidence(), []),
        (CellEvidence(written=("/place/log.txt",)), [0]),
        (CellEvidence(files_unwatched="too many files"), [0]),
        (CellEvidence(outside=("process",)), [0]),
        (None, [0]),
    ],
)
def test_code_that_nobody_followed_has_made_the_files_that_it_was_seen_to_make(
    evidence: CellEvidence | None, again: list[int]
) -> None:
    found = reruns(APPENDS, CellEvidence(written=("/place/log.txt",)), makes="strange.run(1)", seen=evidence)
    assert list(found.why) == again
    assert found.left == {"#file:log.txt"}


def test_files_that_stay_as_they_are_are_named_with_what_became_of_them() -> None:
    told = describe_left_files({"#file:log.txt", "#file:in.csv"}, {"#file:in.csv": "in.csv is gone"})
    assert told[0].startswith("in.csv is gone, cells that run need it, and no cell is known to make it again")
    assert told[1].startswith("the file log.txt: cells of the run before have changed it since the state")
    assert describe_left_files([], {}) == []
