"""Cells with side effects: which of them would be executed a second time."""

from __future__ import annotations

from collections.abc import Sequence

from respawn_jobs.api.runner_protocol import ResumeFrom
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.notebook.document import TAG_ALWAYS, TAG_ONCE, TAG_SKIP

_BEGUN = (CellState.RUNNING, CellState.EXECUTED, CellState.REUSED, CellState.FAILED)


def executed_again(cells: Sequence[CellRecord], start: ResumeFrom | None) -> CellRecord | None:
    """Return the first cell tagged `respawn:once` that has begun and would execute from a start.

    Args:
        cells: what was recorded of the cells so far, of the same notebook.
        start: where execution begins; None for the top.
    """
    for cell in cells:
        begun = cell.state in _BEGUN and TAG_SKIP not in cell.tags
        if TAG_ONCE in cell.tags and begun and _executes(cell, start):
            return cell
    return None


def describe_cell(cell: CellRecord) -> str:
    """Return how far a cell came that must not be executed again."""
    how = "had begun" if cell.state in (CellState.RUNNING, CellState.FAILED) else "had finished"
    return f"cell {cell.index} is tagged {TAG_ONCE} and {how}"


def _executes(cell: CellRecord, start: ResumeFrom | None) -> bool:
    if start is None or cell.index >= start.first:
        return True
    return cell.index in start.rerun or TAG_ALWAYS in cell.tags
