"""What a restore could not load, and whether the cells that are still to run can do without it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from respawn_jobs.dataflow.live_names import Reads
from respawn_jobs.model.hidden_state import hidden, label_of
from respawn_jobs.notebook.document import TAG_ALWAYS, cell_tags, code_cells

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True)
class UnloadedVariable:
    """A variable that the checkpoint holds and that would not load in this kernel."""

    name: str
    type: str
    reason: str
    cell: int | None
    """The cell that made it."""

    def __str__(self) -> str:
        if hidden(self.name):
            return f"{label_of(self.name.partition(':')[0])}: {self.reason}"
        return f"{self.name} ({self.type}): {self.reason}"


def read_report(path: Path) -> list[UnloadedVariable]:
    """Return what the agent reported as lost, without what a rerun cell has made again."""
    failed = json.loads(path.read_bytes())["failed"]
    return [
        UnloadedVariable(item["name"], item["type"], item["reason"], item["cell"])
        for item in failed
        if not item["present"]
    ]


def problems(
    notebook: NotebookNode, first: int, lost: Sequence[UnloadedVariable], rerun: Collection[int] = ()
) -> list[str]:
    """Tell which cells that are still to run read a lost variable, and what to do about it.

    Args:
        notebook: The executed form.
        first: The first cell below the restored state: it executes, and all after it.
        lost: The variables.
        rerun: The cells above it that execute again. Those tagged `respawn:always` have done so.
    """
    by_name = {item.name: item for item in lost}
    reads = Reads()
    cells = code_cells(notebook)
    for index, cell in cells:
        if index < first and index not in rerun:
            reads.define(cell.source)
    found = []
    for index, cell in cells:
        if index < first and index not in rerun:
            continue
        for name in sorted(reads.cell(cell.source) & by_name.keys()):
            item = by_name.pop(name)
            found.append(f"cell {index} reads {item}; {_fix(item, dict(cells))}")
    return found


def _fix(item: UnloadedVariable, cells: dict[int, NotebookNode]) -> str:
    if item.cell is None or item.cell < 0:
        return "restart the run instead"
    if item.cell in cells and TAG_ALWAYS in cell_tags(cells[item.cell]):
        return (
            f"take {TAG_ALWAYS} from cell {item.cell} and resume with --rerun-producers, or restart the run"
        )
    return (
        "give the kernel what it needs to load it, "
        f"tag cell {item.cell} {TAG_ALWAYS} to have it made again, or restart the run"
    )
