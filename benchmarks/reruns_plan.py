"""Plan resumes, as the Respawn that is on the path does: reads a case a line, writes its plan.

A program of its own so that the plans of an earlier commit can be made as well, from a copy of its sources.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import nbformat

from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.notebook.document import code_cells, source_hash
from respawn_jobs.resume.draft import EndedRun
from respawn_jobs.resume.plan import plan_resume


def notebook(cells: list[str]) -> Any:
    """Return a notebook of these cells."""
    made = [nbformat.v4.new_code_cell(source, id=f"cell-{place}") for place, source in enumerate(cells)]
    return nbformat.v4.new_notebook(
        cells=made, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )


def record(place: int, cell: Any, done: int, evidence: dict[str, Any] | None) -> CellRecord:
    """Return what is recorded of a cell: the first `done` finished, the next failed."""
    state = CellState.EXECUTED if place < done else CellState.FAILED if place == done else CellState.SKIPPED
    seen = {"evidence": evidence} if evidence is not None and "evidence" in CellRecord.model_fields else {}
    return CellRecord(
        index=place,
        cell_id=cell.id,
        state=state,
        source_hash=source_hash(cell.source),
        tags=[],
        seconds=1.0,
        **seen,
    )


def plan(case: dict[str, Any]) -> dict[str, Any]:
    """Return the plan of one case."""
    before = notebook(case["old"])
    cells = code_cells(before)
    done = case["done"]
    evidence = case["evidence"] or [None] * len(cells)
    records = [record(place, cell, done, evidence[place]) for place, cell in cells]
    points = [Checkpoint(cell=place, manifest=f"m{place}", variables=1, size=1) for place in range(done)]
    ended = EndedRun("run-1", "python3", "lock", records, points, before)
    made = plan_resume(ended, notebook(case["new"]), kernel="python3", lock="lock", language="python")
    return {
        "point": made.checkpoint.cell + 1 if made.checkpoint else 0,
        "rerun": made.rerun,
        "first": made.first,
        "stale": made.stale,
        "why": {cell.index: cell.why for cell in made.cells},
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(plan(json.loads(line))), flush=True)
