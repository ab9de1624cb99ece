"""Notebooks for tests, in a few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import nbformat
from nbformat import NotebookNode


def notebook(
    *cells: str,
    kernel: str | None = "python3",
    parameters: str | None = None,
    tags: Mapping[int, Sequence[str]] | None = None,
) -> NotebookNode:
    """Return a notebook of code cells; a source that begins with `md:` makes a Markdown cell.

    Args:
        cells: sources, in order.
        kernel: what the notebook names as its kernel; None names none.
        parameters: source of a first cell tagged `parameters`.
        tags: tags by place among `cells` (the parameters cell not counted).
    """
    made = []
    if parameters is not None:
        made.append(_code(parameters, "parameters", ["parameters"]))
    for place, source in enumerate(cells):
        if source.startswith("md:"):
            made.append(nbformat.v4.new_markdown_cell(source.removeprefix("md:"), id=f"cell-{place}"))
        else:
            made.append(_code(source, f"cell-{place}", list((tags or {}).get(place, []))))
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel}} if kernel else {}
    return nbformat.v4.new_notebook(cells=made, metadata=metadata)


def text(nb: NotebookNode) -> str:
    """Return a notebook's text."""
    return nbformat.writes(nb)


def printed_by(cell: Mapping[str, Any]) -> str:
    """Return what a cell printed, in one text.

    A kernel sends what there is five times a second, so one `print` may come in two outputs. `cell` is
    as `nbformat` gives it, or as the JSON of a notebook has it.
    """
    streams = [one["text"] for one in cell["outputs"] if one["output_type"] == "stream"]
    return "".join(part for text in streams for part in text)


def with_whole_streams(values: list[Any]) -> list[Any]:
    """Return the values of a notebook's list; what a cell printed at one go is one output, in lines."""
    joined: list[Any] = []
    for value in values:
        before = joined[-1] if joined else None
        if _is_stream(value) and _is_stream(before) and value["name"] == before["name"]:
            before["text"] = before["text"] + value["text"]
        else:
            joined.append(value)
    for stream in filter(_is_stream, joined):
        stream["text"] = "".join(stream["text"]).splitlines(keepends=True)
    return joined


def _is_stream(value: Any) -> bool:
    return isinstance(value, dict) and value.get("output_type") == "stream"


def _code(source: str, cell_id: str, tags: list[str]) -> NotebookNode:
    metadata = {"tags": tags} if tags else {}
    return nbformat.v4.new_code_cell(source, id=cell_id, metadata=metadata)
