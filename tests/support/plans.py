"""Runs to plan a resume of, as they were recorded."""

from __future__ import annotations

from nbformat import NotebookNode

from respawn_jobs.model.checkpoints import Checkpoint, Unstored
from respawn_jobs.model.plans import Plan
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.notebook.document import cell_tags, code_cells, source_hash
from respawn_jobs.resume.draft import EndedRun
from respawn_jobs.resume.plan import plan_resume
from respawn_kernels.evidence import CellEvidence
from support.notebooks import notebook


def ended(
    nb: NotebookNode, done: int, *, kept: set[int] | None = None, unstored: tuple[Unstored, ...] = ()
) -> EndedRun:
    """Return a run of `nb` whose code cells before the `done`-th finished, and that one failed."""
    cells = code_cells(nb)
    states = [CellState.EXECUTED] * done + [CellState.FAILED] + [CellState.SKIPPED] * len(cells)
    return EndedRun(
        run="run-1",
        kernel="python3",
        lock="lock-1",
        notebook=nb,
        cells=[
            CellRecord(index=i, cell_id=c.id, state=s, source_hash=source_hash(c.source), tags=cell_tags(c))
            for (i, c), s in zip(cells, states, strict=False)
        ],
        checkpoints=[
            Checkpoint(cell=i, manifest=f"m{i}", variables=1, size=1, unstored=list(unstored))
            for i, _ in cells[:done]
            if kept is None or i in kept
        ],
    )


def edited(nb: NotebookNode, place: int, source: str) -> NotebookNode:
    """Return a notebook with another source in one of its cells."""
    nb.cells[place].source = source
    return nb


def planned_after(cells: list[tuple[str, CellEvidence | None]], edits: dict[int, str], **more) -> Plan:
    """The plan for a notebook whose cells all finished, with all states kept, and some of them edited."""
    sources = [source for source, _ in cells]
    ran, fixed = notebook(*sources), notebook(*(edits.get(i, source) for i, source in enumerate(sources)))
    records = [
        CellRecord(
            index=index,
            cell_id=cell.id,
            state=CellState.EXECUTED,
            source_hash=source_hash(cell.source),
            tags=cell_tags(cell),
            evidence=cells[index][1],
        )
        for index, cell in code_cells(ran)
    ]
    ended = EndedRun(
        run="run-1",
        kernel="python3",
        lock=None,
        notebook=ran,
        cells=records,
        checkpoints=[
            Checkpoint(cell=index, manifest=f"m{index}", variables=1, size=1) for index in range(len(cells))
        ],
        directory="/place",
    )
    return plan_resume(ended, fixed, kernel="python3", lock=None, language="python", **more)
