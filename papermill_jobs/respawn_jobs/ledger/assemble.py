"""The executed notebook of a run whose runner did not hand one over, put together from what it recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from respawn_jobs.blobs import BlobStore
from respawn_jobs.notebooks import read_notebook, write_notebook
from respawn_jobs.store.tables import CellRow


def executed_text(blobs: BlobStore, skeleton: str, cells: Iterable[CellRow]) -> str:
    """Return the skeleton's text with each cell's recorded outputs and execution count filled in."""
    import nbformat

    notebook = read_notebook(blobs.get(skeleton).decode())
    for cell in cells:
        if cell.index >= len(notebook.cells) or notebook.cells[cell.index].cell_type != "code":
            continue
        node = notebook.cells[cell.index]
        node.execution_count = cell.execution_count
        recorded = outputs_of(blobs, cell.outputs)
        node.outputs = [nbformat.from_dict(output) for output in recorded]  # type: ignore[no-untyped-call]
    return write_notebook(notebook)


def outputs_of(blobs: BlobStore, digest: str | None) -> list[dict[str, Any]]:
    """Return a cell's nbformat outputs; none when none were recorded."""
    if digest is None:
        return []
    outputs: list[dict[str, Any]] = json.loads(blobs.get(digest))
    return outputs
