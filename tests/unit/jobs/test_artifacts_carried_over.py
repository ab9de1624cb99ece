"""Which artifacts a resumed run is given: those that nothing which was edited went into."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from respawn_jobs.ledger.runs.artifacts import NextCell, valid_after
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.runs import CellRecord, CellState


def ran(*cells: str, failed: int) -> list[CellRecord]:
    """Code cells at 0, 2, 4 … with prose between them; one failed, those after it were skipped."""
    return [
        CellRecord(
            index=2 * place,
            cell_id=f"id-{place}",
            source_hash=source,
            state=(CellState.EXECUTED, CellState.FAILED, CellState.SKIPPED)[
                (place >= failed) + (place > failed)
            ],
        )
        for place, source in enumerate(cells)
    ]


def goes_on(*cells: str, reused: tuple[int, ...] = ()) -> list[NextCell]:
    """The same without the prose."""
    return [NextCell(place, f"id-{place}", source, place in reused) for place, source in enumerate(cells)]


def saved_by(cell: int | None) -> Artifact:
    return Artifact(
        name="model", number=3, kind="json", type="int", file="model.json", size=0,
        saved_at=datetime(2026, 1, 1, tzinfo=UTC), cell=cell,
    )  # fmt: skip


def place_after(cell: int | None, old: list[CellRecord], new: list[NextCell], same_kernel: bool = True):
    kept, told = valid_after([saved_by(cell)], old, new, same_kernel=same_kernel)
    assert bool(kept) != bool(told)
    return kept[0].cell if kept else told[0]


OLD = ran("load", "train", "score", failed=1)


def test_an_unchanged_notebook_is_given_everything_at_its_new_place() -> None:
    assert place_after(2, OLD, goes_on("load", "train", "score")) == 1
    assert place_after(0, OLD, goes_on("load", "train", "score")) == 0


def test_the_cell_that_died_may_be_fixed() -> None:
    assert place_after(2, OLD, goes_on("load", "train better", "score")) == 1


def test_a_cell_that_had_finished_and_was_edited_loses_its_own() -> None:
    assert "it had finished and was edited" in place_after(0, OLD, goes_on("load more", "train", "score"))


def test_what_a_cell_below_an_edit_saved_is_left_behind() -> None:
    told = place_after(2, OLD, goes_on("load more", "train", "score"))
    assert "'model', saved by cell 2," in told
    assert "cell 0 above it has changed" in told


def test_an_edit_below_changes_nothing() -> None:
    assert place_after(2, OLD, goes_on("load", "train", "score better")) == 1


def test_a_cell_put_in_above_counts_as_a_change() -> None:
    told = place_after(2, OLD, goes_on("load", "prepare", "train", "score"))
    assert "a cell was put in above it" in told


def test_another_kernel_leaves_all_behind() -> None:
    told = place_after(0, OLD, goes_on("load", "train", "score"), same_kernel=False)
    assert "the kernel is another one" in told


def test_what_a_reused_cell_saved_holds() -> None:
    old = ran("a", "b", "c", failed=2)
    assert place_after(2, old, goes_on("a2", "b", "c", reused=(1,))) == 1


@pytest.mark.parametrize("edited", [0, 1, 2])
def test_one_of_no_known_cell_is_left_behind_by_any_edit(edited: int) -> None:
    cells = ["load", "train", "score"]
    assert place_after(None, OLD, goes_on(*cells)) is None
    cells[edited] += " more"
    assert "left behind" in place_after(None, OLD, goes_on(*cells))
