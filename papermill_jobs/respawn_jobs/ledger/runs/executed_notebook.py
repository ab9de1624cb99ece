"""The executed notebook of a run whose runner did not hand one over, put together from what it recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import Corrupt, RespawnError
from respawn_jobs.notebook.document import read_notebook, write_notebook
from respawn_jobs.store.tables import CellRow


def executed_text(blobs: BlobStore, skeleton: str, cells: Iterable[CellRow]) -> str:
    """Return the skeleton's text with each cell's recorded outputs and execution count filled in.

    Half a surrogate pair, which a kernel can send and no file can hold, becomes `?`.
    Raises `NotFound` or `Corrupt` when a blob is gone or holds something else, `Unavailable` when the
    store does not answer.

    Args:
        blobs: where skeleton and outputs are.
        skeleton: digest of the notebook without outputs.
        cells: the records of its code cells.
    """
    import nbformat

    try:
        notebook = read_notebook(blobs.get(skeleton).decode())
        for cell in cells:
            if cell.index >= len(notebook.cells) or notebook.cells[cell.index].cell_type != "code":
                continue
            node = notebook.cells[cell.index]
            node.execution_count = cell.execution_count
            recorded = outputs_of(blobs, cell.outputs)
            node.outputs = [nbformat.from_dict(output) for output in recorded]  # type: ignore[no-untyped-call]
        return write_notebook(notebook).encode(errors="replace").decode()
    except RespawnError:
        raise
    except Exception as error:  # nbformat raises KeyError, AttributeError and more on malformed outputs
        raise Corrupt(
            f"what the runner recorded makes no notebook: {type(error).__name__}: {error}"
        ) from error


def outputs_of(blobs: BlobStore, digest: str | None) -> list[dict[str, Any]]:
    """Return a cell's nbformat outputs; none when none were recorded. Raises `Corrupt` for other bytes."""
    if digest is None:
        return []
    try:
        outputs = json.loads(blobs.get(digest))
    except ValueError as error:
        raise Corrupt(f"blob {digest} does not hold outputs: {error}", digest=digest) from error
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise Corrupt(f"blob {digest} does not hold outputs: it is no list of objects", digest=digest)
    return outputs
