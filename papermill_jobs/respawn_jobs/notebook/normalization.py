"""What a document must have to run as a notebook: papermill's rule, which is not nbformat's schema.

papermill runs a notebook that the schema refuses: nbformat logs what is wrong with it and goes on. So does
this. What the code after it relies on is filled in where it is missing or malformed: cells' ids, metadata,
tags, sources, outputs, counts. All else stays as it is, also fields that nobody knows. The same document
gives the same result each time, so that the service and a runner name its cells alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from respawn_jobs.errors import InvalidInput
from respawn_kernels.digest import digest_of

_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOOLS = ("kernelspec", "language_info", "papermill", "respawn")


def fill_in(notebook: dict[str, Any]) -> None:
    """Bring a version 4 document into the form that this package works with, in place.

    Raises `InvalidInput` for what is no notebook: no list of cells, or cells without a type.
    """
    notebook["metadata"] = _metadata(notebook.get("metadata"))
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise InvalidInput("not a valid notebook: `cells` is not a list")
    for index, cell in enumerate(cells):
        if not isinstance(cell, dict):
            raise InvalidInput(f"not a valid notebook: cell {index} is not an object")
        if not isinstance(cell.get("cell_type"), str):
            raise InvalidInput(f"not a valid notebook: cell {index} has no `cell_type`")
        _fill_cell(cell)
    for cell, known in zip(cells, cell_ids(cells), strict=True):
        cell["id"] = known


def cell_ids(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return an id for each cell: its own, or one made of place and source where that can be none."""
    ids: dict[str, None] = {}  # a set in order
    for index, cell in enumerate(cells):
        known = cell.get("id")
        if not isinstance(known, str) or not _ID.fullmatch(known) or known in ids:
            source = cell.get("source")
            text = "".join(source) if isinstance(source, list) else source
            known = digest_of(f"{index}\n{text}".encode(errors="replace"))[:12]
        ids[known] = None
    return list(ids)


def _fill_cell(cell: dict[str, Any]) -> None:
    cell["metadata"] = metadata = _metadata(cell.get("metadata"))
    if "tags" in metadata:
        metadata["tags"] = _tags(metadata["tags"])
    source = cell.get("source")
    if isinstance(source, list):
        cell["source"] = [line for line in source if isinstance(line, str)]
    elif not isinstance(source, str):
        cell["source"] = ""
    if cell["cell_type"] != "code":
        return
    count = cell.get("execution_count")
    cell["execution_count"] = count if isinstance(count, int) and not isinstance(count, bool) else None
    outputs = cell.get("outputs")
    cell["outputs"] = [one for one in outputs if _is_output(one)] if isinstance(outputs, list) else []


def _metadata(found: Any) -> dict[str, Any]:
    """Return metadata as a mapping in which that of the tools we read is a mapping too."""
    metadata = found if isinstance(found, dict) else {}
    return {name: value for name, value in metadata.items() if name not in _TOOLS or isinstance(value, dict)}


def _tags(found: Any) -> list[str]:
    if isinstance(found, str):
        return [found]
    return [tag for tag in found if isinstance(tag, str)] if isinstance(found, list) else []


def _is_output(output: Any) -> bool:
    """Return whether an output has the parts that what reads outputs takes for granted."""
    if not isinstance(output, dict):
        return False
    kind = output.get("output_type")
    if kind == "stream":
        return isinstance(output.get("name"), str) and _is_text(output.get("text"))
    if kind == "error":
        trace = output.get("traceback")
        return isinstance(trace, list) and all(
            isinstance(output.get(part), str) for part in ("ename", "evalue")
        )
    return kind in ("display_data", "execute_result") and isinstance(output.get("data"), dict)


def _is_text(text: Any) -> bool:
    return isinstance(text, str) or (isinstance(text, list) and all(isinstance(line, str) for line in text))
