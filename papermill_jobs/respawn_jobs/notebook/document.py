"""Notebooks as documents: read, written, and compared by their sources.

Everything here is deterministic: the same text gives the same cell ids, so that the service and a runner
which read the same notebook name its cells alike. Notebooks that come in are never changed in place.
nbformat is imported where it is used: it is slow to load.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from respawn_jobs.errors import InvalidInput
from respawn_jobs.notebook.normalization import fill_in
from respawn_kernels.counting import how_many
from respawn_kernels.digest import digest_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

TAG_PARAMETERS = "parameters"
TAG_INJECTED = "injected-parameters"
TAG_ERROR_MARKER = "papermill-error-cell-tag"
"""papermill's own: a cell that it puts into a notebook that failed, and takes out before it runs it again."""

TAG_ALWAYS = "respawn:always"
TAG_ONCE = "respawn:once"
TAG_CHECKPOINT = "respawn:checkpoint"
TAG_NO_CHECKPOINT = "respawn:no-checkpoint"
TAG_SCRATCH = "respawn:scratch"
"""Such a cell is left out of plans, runs and the versions made from a debug notebook."""
TAG_SKIP = "skip-execution"
"""Jupyter's own: such a cell is left out, and recorded as executed."""

TAG_RAISES = "raises-exception"
"""Jupyter's own: such a cell may raise, and is recorded as executed all the same."""

INJECTED_ID = "injected-parameters"
ROLE_HEADER = "header"
ROLE_RESTORE = "restore"
ROLE_RERUN = "rerun"
_RUNNING = "running"
"""The state of a run that a notebook looks into while it goes on; see `models.RunState`."""


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DEEPEST = 100
MAX_CELLS = 10_000
"""Cells of a notebook. Reading, planning and showing cost something for each, however short it is."""


def read_notebook(text: str) -> NotebookNode:
    """Read a notebook of any version that nbformat can upgrade, as the newest version 4.

    What papermill runs is read, whatever nbformat's schema says of it; see `notebook_form`. Reading the same
    text twice gives the same ids. Halves of characters (lone surrogates), which no UTF-8 can hold, become
    question marks. Raises `InvalidInput` telling what is wrong with what is no notebook.
    """
    import nbformat

    raw = _loaded(text)
    if not isinstance(raw, dict) or not isinstance(raw.get("nbformat"), int):
        raise InvalidInput("not a notebook: the JSON has no `nbformat` number")
    if raw["nbformat"] > 4:
        raise InvalidInput(f"not a valid notebook: version {raw['nbformat']} of the format is not known")
    if (cells := _cells_of(raw)) > MAX_CELLS:
        raise InvalidInput(
            f"the notebook has {how_many(cells, 'cell')}; {MAX_CELLS:,} are the most: split it"
        )
    try:
        if raw["nbformat"] < 4:
            raw = nbformat.convert(nbformat.reader.reads(json.dumps(raw)), to_version=4)  # type: ignore[no-untyped-call]
            for cell in raw.cells:
                cell.pop("id", None)
        fill_in(raw)
        raw["nbformat_minor"] = nbformat.v4.nbformat_minor
        notebook: NotebookNode = nbformat.v4.reads_json(json.dumps(raw))  # type: ignore[no-untyped-call]
    except InvalidInput:
        raise
    except Exception as error:  # nbformat raises KeyError, AttributeError and more on malformed documents
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidInput(f"not a valid notebook: {reason}") from error
    return notebook


def _cells_of(raw: dict[str, Any]) -> int:
    """Return how many cells a document has; before version 4 they lay on worksheets."""
    sheets = raw.get("worksheets")
    parts = [raw, *(sheets if isinstance(sheets, list) else [])]
    lists = [part.get("cells") for part in parts if isinstance(part, dict)]
    return sum(len(cells) for cells in lists if isinstance(cells, list))


def write_notebook(notebook: NotebookNode) -> str:
    """Return the notebook's text, as nbformat writes it, without looking whether its schema agrees."""
    import nbformat

    return str(nbformat.v4.writes_json(notebook))  # type: ignore[no-untyped-call]


def source_hash(source: str) -> str:
    """Return the hash that tells whether a cell's source was edited."""
    return digest_of(source.encode())


def cell_tags(cell: NotebookNode) -> list[str]:
    """Return a cell's tags."""
    return [str(tag) for tag in cell.metadata.get("tags") or []]


def code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """Return the code cells with their places among all cells."""
    return [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def title(cell: NotebookNode) -> str:
    """Return the first line of a cell's source that is not blank, at most 80 characters."""
    lines = [line.strip() for line in str(cell.source).splitlines() if line.strip()]
    first = lines[0] if lines else ""
    return first if len(first) <= 80 else first[:79] + "…"


def injected_cell(notebook: NotebookNode) -> NotebookNode | None:
    """Return the cell that papermill injected, if there is one."""
    return next((cell for cell in notebook.cells if TAG_INJECTED in cell_tags(cell)), None)


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """Return a copy whose code cells have neither outputs nor execution counts."""
    result = deepcopy(notebook)
    for _, cell in code_cells(result):
        cell.outputs = []
        cell.execution_count = None
    return result


def check_not_inside(notebook: NotebookNode) -> None:
    """Raise InvalidInput for a notebook that looks into a run that went on: nothing goes on from there."""
    shown = notebook.metadata.get("respawn")
    if isinstance(shown, dict) and shown.get("state") == _RUNNING:
        raise InvalidInput(
            "this notebook looks into a run that went on meanwhile, and nothing can go on from it: "
            "should the run fail, open its Debug link, or use `respawn debug`",
            run=shown.get("run"),
        )


def strip_debug(notebook: NotebookNode) -> NotebookNode:
    """Return the version that a debug or executed notebook stands for.

    The cells that Respawn and papermill added and scratch cells are gone, and so are outputs and both tools'
    metadata.
    """
    result = without_outputs(notebook)
    result.cells = [
        cell
        for cell in result.cells
        if (cell.metadata.get("respawn") or {}).get("role") not in (ROLE_HEADER, ROLE_RESTORE, ROLE_RERUN)
        and not {TAG_INJECTED, TAG_ERROR_MARKER, TAG_SCRATCH} & set(cell_tags(cell))
    ]
    for part in (result, *result.cells):
        for key in ("respawn", "papermill", "execution"):
            part.metadata.pop(key, None)
    return result


def _loaded(text: str) -> Any:
    """Return the JSON document in `text`, which everything after this can walk and write as UTF-8."""
    try:
        text.encode()
        raw = json.loads(text)
        if _SURROGATE.search(text):
            raw = json.loads(json.dumps(raw, ensure_ascii=False).encode(errors="replace"))
    except UnicodeEncodeError as error:
        raise InvalidInput("not a notebook: it is not UTF-8 text, it holds half a character") from error
    except ValueError as error:
        raise InvalidInput(f"not a notebook: it is not JSON ({error})") from error
    except RecursionError as error:
        raise InvalidInput("not a notebook: it is nested too deeply") from error
    level, depth = [raw], 0
    while level:
        if (depth := depth + 1) > _DEEPEST:
            raise InvalidInput(f"not a notebook: it is nested more than {_DEEPEST} levels deep")
        inner = [value.values() if isinstance(value, dict) else value for value in level]
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
    return raw
