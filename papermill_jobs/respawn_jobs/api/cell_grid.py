"""The cells of a job's runs beside each other."""

from __future__ import annotations

from respawn_jobs.model.base import Many, Model
from respawn_jobs.model.runs import CellState, Run

MAX_RUNS = 50
MAX_CELLS = 500


class GridCell(Model):
    """What became of a cell in one run."""

    index: int
    """Its place in that run's executed notebook."""
    state: CellState
    seconds: float | None = None
    memory_bytes: int | None = None
    """The most that the run had in memory at a time while the cell ran."""


class GridRow(Model):
    """One cell of the job's notebooks, in each run."""

    cell_id: str
    title: str
    """The first line of its code in the newest run that has it; empty where that is not known."""
    cells: Many[GridCell | None]
    """In the order of the runs; None for a run whose notebook does not have it."""


class CellGrid(Model):
    """The latest runs of a job and their code cells."""

    runs: Many[Run] = []
    """From the oldest to the newest."""
    rows: Many[GridRow] = []
    """In the order of the newest run; what only older ones have follows the cell that stood before it."""
    left_out: int = 0
    """How many cells more there are than rows."""
