"""What counts as otherwise than planned."""

from __future__ import annotations

from respawn_jobs.dataflow import Footprint
from respawn_jobs.dataflow.prediction_check import in_words, surprises
from respawn_kernels.evidence import CellEvidence

PLANNED = Footprint(frozenset({"x"}), frozenset({"a", "#file:out.csv"}), frozenset({"a"}))


def test_what_was_planned_is_no_surprise() -> None:
    seen = CellEvidence(bound=("a",), reads=("x",), written=("/place/out.csv",))
    assert surprises(PLANNED, seen, "/place") == []


def test_without_evidence_there_is_nothing_to_compare() -> None:
    assert surprises(PLANNED, None, None) == []


def test_a_cell_that_may_do_anything_surprises_nobody() -> None:
    assert surprises(Footprint(opaque="it uses exec"), CellEvidence(bound=("b",)), None) == []


def test_names_state_and_files_that_were_not_planned_are_told() -> None:
    seen = CellEvidence(bound=("b",), changed=("#decimal",), written=("/place/other.csv",), writes=("c",))
    assert surprises(PLANNED, seen, "/place") == [
        "wrote the context of decimal",
        "wrote the file other.csv",
        "wrote b",
        "wrote c",
        "read the context of decimal",
    ]


def test_what_was_read_and_not_planned_is_told() -> None:
    seen = CellEvidence(reads=("z",), opened=("/place/in.csv",), frames=("pandas",))
    assert surprises(PLANNED, seen, "/place") == [
        "read the file in.csv",
        "read z",
        "pandas looked up names where it was called",
    ]


def test_a_thread_that_goes_on_may_do_anything() -> None:
    assert surprises(PLANNED, CellEvidence(background_work=("thread w",)), None) == [
        "thread w went on after it"
    ]


def test_many_surprises_are_told_in_a_few_words() -> None:
    assert in_words([f"wrote x{n}" for n in range(6)]) == "wrote x0, wrote x1, wrote x2, wrote x3, 2 more"
