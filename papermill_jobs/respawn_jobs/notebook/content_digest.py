"""What of a notebook counts as its content, so that a file that was only saved anew is no other notebook.

Opening, executing and saving write into a file what no run reads: outputs, counts, times, the state of
widgets, the kernel's language, what is folded. That is left out. All else counts, also what nobody here
knows, for the executed notebook carries it. Ids of cells do not: they name cells within one version, and an
editor may give new ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from respawn_jobs.notebook.document import cell_tags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbformat import NotebookNode

_CELL = frozenset({"execution_count", "id", "metadata", "outputs", "source"})
"""Fields of a cell that are left out, or looked at by themselves."""
_METADATA = frozenset(
    {
        "ExecuteTime", "collapsed", "execution", "jp-MarkdownHeadingCollapsed", "kernelspec", "language_info",
        "orig_nbformat", "scrolled", "tags", "trusted", "widgets",
    }
)  # fmt: skip
"""Metadata that editors write by themselves, or that is looked at by itself."""
_NESTED = {
    "jupyter": frozenset({"outputs_hidden"}),
    "papermill": frozenset(
        {
            "duration", "end_time", "environment_variables", "exception", "input_path", "output_path",
            "start_time", "status", "version",
        }
    ),
}  # fmt: skip
"""The same within metadata of one tool; of papermill's, what it notes of a run that is over."""


def same_content(one: NotebookNode, other: NotebookNode) -> bool:
    """Return whether two notebooks differ in nothing but what editors and runs write by themselves."""
    return (
        _kernel(one) == _kernel(other)
        and _counted(one.metadata) == _counted(other.metadata)
        and list(map(_cell, one.cells)) == list(map(_cell, other.cells))
    )


def _cell(cell: NotebookNode) -> tuple[Any, ...]:
    more = {name: value for name, value in cell.items() if name not in _CELL and value != {}}
    return cell.source, sorted(set(cell_tags(cell))), _counted(cell.metadata), more


def _kernel(notebook: NotebookNode) -> Any:
    return (notebook.metadata.get("kernelspec") or {}).get("name")


def _counted(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata that count; what is empty counts as missing."""
    found = {}
    for name, value in metadata.items():
        if name in _NESTED and isinstance(value, dict):
            value = {key: inner for key, inner in value.items() if key not in _NESTED[name]}
        if name not in _METADATA and value not in ({}, [], None):
            found[name] = value
    return found
