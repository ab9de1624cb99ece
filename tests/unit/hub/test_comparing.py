"""A comparison as a page shows it: changes in full, what did not change folded with a count."""

from __future__ import annotations

import pytest

from respawn_hub.pages.version_diff import blocks, counted, pieces
from respawn_jobs.api.versions import CellChange, Comparison, DiffLine


def cell(kind: str, old: int | None, new: int | None, **more: object) -> CellChange:
    return CellChange.model_validate({"kind": kind, "cell_type": "code", "old": old, "new": new, **more})


def lines(text: str) -> list[DiffLine]:
    """Return a line for each letter: `.` for one that is the same, `+` and `-` for others."""
    kinds = {".": "same", "+": "added", "-": "removed"}
    return [DiffLine.model_validate({"kind": kinds[letter], "text": str(i)}) for i, letter in enumerate(text)]


def test_unchanged_cells_in_a_row_are_one_block_and_others_are_each_their_own() -> None:
    cells = [
        cell("same", 0, 0),
        cell("same", 1, 1),
        cell("changed", 2, 2),
        cell("removed", 3, None),
        cell("same", 4, 3),
    ]
    found = blocks(Comparison(old=1, new=2, cells=cells))

    assert [len(block.cells) for block in found] == [2, 1, 1, 1]
    assert [block.changed.kind if block.changed else None for block in found] == [
        None, "changed", "removed", None,
    ]  # fmt: skip
    assert (found[0].places, found[-1].places) == ("cells 0 to 1", "cell 3")
    assert [block.elsewhere for block in found] == [False, False, False, True]


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["same"], ""),
        (["changed"], "1 cell changed"),
        (["changed", "changed", "added"], "2 cells changed, 1 added"),
        (["removed", "same", "removed"], "2 cells removed"),
        (["moved", "same", "added"], "1 cell moved, 1 added"),
    ],
)
def test_what_became_of_cells_is_counted(kinds: list[str], words: str) -> None:
    cells = [cell(kind, place, place) for place, kind in enumerate(kinds)]
    assert counted(Comparison(old=1, new=2, cells=cells)) == words


def test_a_cell_that_changed_and_was_moved_is_counted_as_both() -> None:
    cells = [cell("changed", 0, 1, moved=True), cell("changed", 1, 0)]
    assert counted(Comparison(old=1, new=2, cells=cells)) == "1 cell changed, 1 changed and moved"


@pytest.mark.parametrize(
    ("text", "folds"),
    [
        ("........+........", [5, -3, -1, -3, 5]),
        ("+..........-", [-1, -3, 4, -3, -1]),
        ("+.........-", [-11]),
        ("......+", [-7]),
        ("", []),
    ],
    ids=["both sides", "between two", "too few between", "too few before", "no lines"],
)
def test_lines_far_from_a_change_are_folded_where_that_saves_room(text: str, folds: list[int]) -> None:
    found = pieces(lines(text))

    shown = [line.text for piece in found for line in piece.lines]
    assert shown == [str(place) for place in range(len(text))], "nothing is lost, and the order stays"
    folded = [len(piece.lines) for piece in found if piece.folded]
    assert folded == [count for count in folds if count > 0]
