"""The grid of runs and cells as a page shows it: what each square says and how deep its colour is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from respawn_kernels.sizes import how_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from respawn_jobs.api.cell_grid import CellGrid, GridCell, GridRow
    from respawn_jobs.model.runs import Run

_DEPTHS, _HEIGHTS = 5, 8
_MAX_ROWS = 100
"""A page that shows its newest runs is fetched again every few seconds."""
_WORDS = {"executed": "ran", "reused": "taken over", "failed": "failed", "running": "running"}


@dataclass(frozen=True)
class ShownRun:
    """A column."""

    run: Run
    took_seconds: float
    """0 for a run that has not ended."""
    height: int
    """1 to 8: its share of the longest."""


@dataclass(frozen=True)
class ShownSquare:
    """A cell of a run."""

    run: str
    index: int
    state: str
    words: str
    depth: int
    """1 to 5: its share of the longest that the cell took in these runs."""


@dataclass(frozen=True)
class ShownRow:
    """A cell in all runs."""

    title: str
    place: int | None
    """Its number in the newest run; None where that does not have it."""
    cells: list[ShownSquare | None]


@dataclass(frozen=True)
class ShownGrid:
    """What the template shows."""

    runs: list[ShownRun]
    rows: list[ShownRow]
    left_out: int


def shown_grid(grid: CellGrid, duration: Callable[[float | None], str]) -> ShownGrid:
    """Return a grid as a page shows it.

    Args:
        grid: as the service has it.
        duration: words for a number of seconds.
    """
    longest = max(map(_took, grid.runs), default=0.0)
    return ShownGrid(
        [ShownRun(run, _took(run), _step(_took(run), longest, _HEIGHTS)) for run in grid.runs],
        [_row(row, grid.runs, duration) for row in grid.rows[:_MAX_ROWS]],
        grid.left_out + max(0, len(grid.rows) - _MAX_ROWS),
    )


def _took(run: Run) -> float:
    if run.started_at is None or run.finished_at is None:
        return 0.0
    return max(0.0, (run.finished_at - run.started_at).total_seconds())


def _row(row: GridRow, runs: list[Run], duration: Callable[[float | None], str]) -> ShownRow:
    longest = max((cell.seconds or 0.0 for cell in row.cells if cell is not None), default=0.0)
    newest = row.cells[-1] if row.cells else None
    return ShownRow(
        row.title,
        newest.index if newest is not None else None,
        [
            None if cell is None else _square(run, cell, longest, duration)
            for run, cell in zip(runs, row.cells, strict=True)
        ],
    )


def _square(run: Run, cell: GridCell, longest: float, duration: Callable[[float | None], str]) -> ShownSquare:
    took = [duration(cell.seconds)] if cell.seconds is not None else []
    memory = [how_large(cell.memory_bytes)] if cell.memory_bytes is not None else []
    state = _WORDS.get(cell.state.value, "not reached")
    words = ", ".join([f"cell {cell.index} of {run.id}: {state}", *took, *memory])
    depth = _step(cell.seconds or 0.0, longest, _DEPTHS)
    return ShownSquare(run.id, cell.index, cell.state.value, words, depth)


def _step(value: float, greatest: float, steps: int) -> int:
    """Return a value's share of the greatest in steps, from 1 on."""
    return max(1, min(steps, round(steps * value / greatest))) if greatest else 1
