"""What the run that goes on takes over: records of cells that it reuses, and states that hold for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.plans import Plan, PlanAction
from respawn_jobs.model.runs import CellRecord
from respawn_jobs.notebook.document import code_cells
from respawn_jobs.resume.invalidation.alignment import align, finished_of

if TYPE_CHECKING:
    from nbformat import NotebookNode


def reused_records(
    cells: Sequence[CellRecord], executed: NotebookNode, planned: Plan
) -> dict[int, CellRecord]:
    """Return the record of each cell that a plan reuses, by its index in the notebook that goes on.

    Args:
        cells: records of the code cells of the run that is resumed, in order.
        executed: the notebook that goes on, in its executed form (parameters injected).
        planned: what the resume does; its indices are those of `executed`.
    """
    following = code_cells(executed)
    reuse = {cell.index for cell in planned.cells if cell.action is PlanAction.REUSE}
    pairs = align([cell for _, cell in following], finished_of(cells))
    return {
        following[new][0]: cells[old]
        for old, new in pairs
        if old is not None and new is not None and following[new][0] in reuse
    }


def kept_boundaries(cells: Sequence[CellRecord], executed: NotebookNode, planned: Plan) -> dict[int, int]:
    """Return the cells above everything that runs or is gone, with their indices in both notebooks.

    The states after these are also those of the run that goes on.

    Args:
        cells: records of the code cells of the run that is resumed, in order.
        executed: the notebook that goes on, in its executed form (parameters injected).
        planned: what the resume does; its indices are those of `executed`.

    Returns:
        Indices in `executed`, by the index in the notebook that ran.
    """
    following = code_cells(executed)
    reuse = {cell.index for cell in planned.cells if cell.action is PlanAction.REUSE}
    found: dict[int, int] = {}
    for old, new in align([cell for _, cell in following], finished_of(cells)):
        if old is None or new is None or following[new][0] not in reuse:
            break
        found[cells[old].index] = following[new][0]
    return found


def mapped_checkpoint(checkpoint: Checkpoint, places: dict[int, int]) -> Checkpoint:
    """Return a checkpoint with its cells' indices translated from one notebook's to another's."""
    unstored = [
        item.model_copy(update={"cell": None if item.cell is None else places.get(item.cell)})
        for item in checkpoint.unstored
    ]
    return checkpoint.model_copy(update={"cell": places[checkpoint.cell], "unstored": unstored})
