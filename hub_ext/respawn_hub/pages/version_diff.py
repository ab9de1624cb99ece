"""Comparisons of versions as a page shows them: what changed in full, what did not folded with a count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from respawn_jobs.api.versions import CellChange, Comparison, DiffLine
from respawn_kernels.counting import how_many

_AROUND = 3
"""Unchanged lines that are shown before and after a change."""
_MIN_FOLDED = 4
"""Unchanged lines that are folded: fewer take no more room than the words that say so."""


@dataclass(frozen=True)
class DiffPiece:
    """Lines of a cell that stand together."""

    lines: list[DiffLine]
    folded: bool


@dataclass(frozen=True)
class Block:
    """A cell that differs, or several in a row that do not."""

    cells: list[CellChange]
    pieces: list[DiffPiece]
    """The lines of a cell that differs."""

    @property
    def changed(self) -> CellChange | None:
        """The cell that differs; None for cells that do not."""
        return None if self.cells[0].kind == "same" else self.cells[0]

    @property
    def places(self) -> str:
        """Where unchanged cells are in the newer notebook, such as "cells 2 to 5"."""
        first, last = self.cells[0].new, self.cells[-1].new
        return f"cell {first}" if first == last else f"cells {first} to {last}"

    @property
    def elsewhere(self) -> bool:
        """Whether a cell that is in both notebooks has another number."""
        cell = self.cells[0]
        return cell.old is not None and cell.new is not None and cell.old != cell.new


def blocks(comparison: Comparison) -> list[Block]:
    """Return a comparison's cells: those that differ one by one, those that do not in rows."""
    found: list[Block] = []
    for same, cells in groupby(comparison.cells, key=lambda cell: cell.kind == "same"):
        if same:
            found.append(Block(list(cells), []))
        else:
            found += [Block([cell], pieces(cell.lines)) for cell in cells]
    return found


def counted(comparison: Comparison) -> str:
    """Return how many cells became what, such as "2 cells changed, 1 added"; empty when all are the same."""
    kinds = ["changed and moved" if c.kind == "changed" and c.moved else c.kind for c in comparison.cells]
    counts: list[str] = []
    for kind in ("changed", "changed and moved", "moved", "added", "removed"):
        if number := kinds.count(kind):
            count = str(number) if counts else how_many(number, "cell")
            counts.append(f"{count} {kind}")
    return ", ".join(counts)


def pieces(lines: list[DiffLine]) -> list[DiffPiece]:
    """Return a cell's lines, those far from any change folded."""
    near = _near(lines)
    found = []
    for shown, numbers in groupby(range(len(lines)), key=near.__contains__):
        some = [lines[number] for number in numbers]
        found.append(DiffPiece(some, folded=not shown and len(some) >= _MIN_FOLDED))
    return found


def _near(lines: Iterable[DiffLine]) -> set[int]:
    changed = (number for number, line in enumerate(lines) if line.kind != "same")
    return {near for number in changed for near in range(number - _AROUND, number + _AROUND + 1)}
