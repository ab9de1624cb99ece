"""Notebooks as they are stored and shown: no secret value stands in them."""

from __future__ import annotations

import ast
from copy import copy
from typing import TYPE_CHECKING

from respawn_jobs.notebook.document import injected_cell
from respawn_jobs.notebook.parameters import inspect
from respawn_jobs.notebook.secret_parameters import masked, secret_names
from respawn_jobs.redact import GONE

if TYPE_CHECKING:
    from nbformat import NotebookNode


def without_secrets(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook as it is stored and shown: the cell that gives parameters names no secret value.

    The notebook itself is returned when it gives none.
    """
    cell = injected_cell(notebook)
    if cell is None:
        return notebook
    try:
        tree = ast.parse(cell.source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return notebook  # another language: nothing tells which of its parameters are secret
    declared = inspect(notebook, "python3", "python")
    given = [(_given(node), node) for node in tree.body]
    secrets = secret_names(declared, [name for name, _ in given if name])
    places = [node.value for name, node in given if name in secrets and isinstance(node, ast.Assign)]
    if not places:
        return notebook
    lines = cell.source.encode().split(b"\n")
    for value in reversed(places):
        first, last = value.lineno - 1, (value.end_lineno or value.lineno) - 1
        head, tail = lines[first][: value.col_offset], lines[last][value.end_col_offset :]
        lines[first : last + 1] = [head + f'"{GONE}"'.encode() + tail]
    masked_notebook = copy(notebook)
    place = notebook.cells.index(cell)
    masked_cell = copy(cell)
    masked_cell.source = b"\n".join(lines).decode()
    metadata = notebook.metadata.get("papermill") or {}
    if metadata.get("parameters"):
        masked_notebook.metadata = copy(notebook.metadata)
        masked_notebook.metadata["papermill"] = {
            **metadata,
            "parameters": masked(metadata["parameters"], secrets),
        }
    masked_notebook.cells = [*notebook.cells[:place], masked_cell, *notebook.cells[place + 1 :]]
    return masked_notebook


def _given(node: ast.stmt) -> str | None:
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    return target.id if isinstance(target, ast.Name) else None
