"""Runs that failed, as the service tells of them, for tests that need no service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import nbformat
from nbformat import NotebookNode, v4

from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_jobs.model.jobs import Version
from respawn_jobs.model.runs import CellError, CellRecord, CellState, Run, RunState
from respawn_jobs.notebook.document import source_hash

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
RUN = "run-0123456789"


def executed_notebook(sources: list[str], failing: int | None, tags: dict[int, list[str]]) -> NotebookNode:
    """Return a notebook as a run leaves it: outputs up to the failing cell, its traceback, then nothing."""
    cells = []
    for index, source in enumerate(sources):
        cell = v4.new_code_cell(source, id=f"cell-{index}", metadata={"tags": tags.get(index, [])})
        if failing is None or index < failing:
            cell.execution_count = index + 1
            cell.outputs = [v4.new_output("stream", name="stdout", text=f"output {index}\n")]
        cells.append(cell)
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return v4.new_notebook(cells=cells, metadata=metadata)


def failed_bundle(
    sources: list[str],
    failing: int,
    *,
    checkpoint: Checkpoint | None = None,
    tags: dict[int, list[str]] | None = None,
    error: CellError | None = None,
    language: str = "python",
    **run_fields: Any,
) -> DebugBundle:
    """Return the bundle of a run of `sources` that failed in the cell `failing`."""
    notebook = executed_notebook(sources, failing, tags or {})
    error = error or CellError(cell=failing, name="KeyError", value="'price'", traceback="KeyError: 'price'")
    states = [CellState.EXECUTED] * failing + [CellState.FAILED]
    states += [CellState.SKIPPED] * (len(sources) - len(states))
    records = [
        CellRecord(index=index, cell_id=f"cell-{index}", state=state, source_hash=source_hash(sources[index]))
        for index, state in enumerate(states)
    ]
    run = {
        "id": RUN,
        "job": "user/ada/report",
        "version": 3,
        "kernel": "python3",
        "state": RunState.FAILED,
        "created_by": "ada",
        "created_at": NOW,
        "finished_at": NOW,
        "error": error,
    }
    version = Version(
        id="ver-0123456789",
        job="user/ada/report",
        number=3,
        notebook="0" * 64,
        kernel="python3",
        language=language,
        created_by="ada",
        created_at=NOW,
    )
    return DebugBundle(
        run=Run(**{**run, **run_fields}),
        version=version,
        cells=records,
        notebook=nbformat.writes(notebook),
        checkpoint=checkpoint,
        link=f"http://hub.example/services/respawn/runs/{RUN}",
    )
