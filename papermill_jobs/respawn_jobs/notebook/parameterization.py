"""A notebook with the parameters of a run, as papermill would execute it."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from respawn_jobs.errors import InvalidInput
from respawn_jobs.notebook.document import (
    INJECTED_ID,
    TAG_ERROR_MARKER,
    TAG_SCRATCH,
    cell_tags,
    injected_cell,
)
from respawn_jobs.notebook.injected_values import typed_source
from respawn_jobs.notebook.parameters import kinds

if TYPE_CHECKING:
    from nbformat import NotebookNode


def parameterize(
    notebook: NotebookNode, parameters: dict[str, Any], kernel: str, language: str
) -> NotebookNode:
    """Return the notebook as papermill would execute it, in a copy.

    Without the error markers of an earlier run and scratch cells, and with the injected cell when parameters
    are given; in a Python notebook it gives them the types that their annotations say. One of papermill's
    translators writes the cell.

    Args:
        notebook: stays as it is.
        parameters: JSON values by name; empty to inject no cell.
        kernel: name of the kernelspec, by which papermill looks for a translator first.
        language: the kernel's language, by which papermill looks for one else.

    Raises:
        InvalidInput: papermill cannot write parameters in this language.
    """
    result: NotebookNode = deepcopy(notebook)
    left_out = {TAG_ERROR_MARKER, TAG_SCRATCH}
    result.cells = [cell for cell in result.cells if not left_out & set(cell_tags(cell))]
    if not parameters:
        return result
    import nbformat
    from papermill.exceptions import PapermillException
    from papermill.parameterize import parameterize_notebook

    untagged = [cell for cell in result.cells if "tags" not in cell.metadata]
    for cell in untagged:
        cell.metadata["tags"] = []
    result.metadata.setdefault("papermill", nbformat.from_dict({}))  # type: ignore[no-untyped-call]
    try:
        result = parameterize_notebook(result, parameters, kernel_name=kernel, language=language)
    except PapermillException as error:
        raise InvalidInput(f"parameters cannot be given to a notebook in {language}: {error}") from error
    for cell in untagged:
        cell.metadata.pop("tags", None)
    injected = injected_cell(result)
    if injected is not None:
        injected.id = INJECTED_ID
        if language.lower() == "python":
            injected.source = typed_source(injected.source, kinds(result))
    return result
