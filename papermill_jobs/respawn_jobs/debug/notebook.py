"""The debug notebook: a failed run as something to open, look into, fix and resume.

It is the executed notebook with two cells in front, a header that says what happened and a cell that brings
the variables back. Both carry `metadata.respawn.role`, by which `respawn_jobs.notebook.document.strip_debug`
takes them out again. Building is pure and repeatable: the same bundle always gives the same notebook.

`debug_download` puts the state beside it, where the kernel's `%respawn restore` looks for it.
"""

from __future__ import annotations

import json
from typing import Any

from nbformat import NotebookNode, from_dict

from respawn_jobs.dataflow.addresses import asks_for_addresses
from respawn_jobs.debug.artifacts import artifacts_line
from respawn_jobs.debug.rerun_cells import Again, cells_to_run
from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_jobs.model.runs import CellRecord, CellState, RunState
from respawn_jobs.notebook.document import code_cells, read_notebook

HEADER_ID = "respawn-header"
RESTORE_ID = "respawn-restore"
RERUN_ID = "respawn-rerun"
_LIVING = (
    "Not run: the notebook is connected to the kernel in which the run failed. Its variables are as the "
    "failing cell has left them, and `%debug` looks into the call that failed. Press *State before the cell* "
    "above for a kernel with the variables as they were before it."
)
LIVING_NOTE = {
    "output_type": "display_data",
    "data": {"text/markdown": _LIVING, "text/plain": _LIVING},
    "metadata": {},
}
"""What stands below the cell that restores, where the notebook is at the kernel that failed (nbformat)."""
_DIGITS = 12
"""Digits of a build's hash that people are shown."""
_ROLES = ("header", "restore", "rerun")
_PAPERMILL_MARK = "papermill-error-cell-tag"
_FINISHED = (CellState.EXECUTED, CellState.REUSED)


def debug_notebook(bundle: DebugBundle) -> NotebookNode:
    """Return the notebook that opens a run's failure.

    Args:
        bundle: What the service tells of the failed run.

    Returns:
        The executed notebook with the header and, for a Python kernel, the cell that restores and the one
        that runs again what makes what could not be stored, if anything does. Its
        `metadata.respawn` names the run and the failing cell for the JupyterLab plugin.
    """
    notebook = read_notebook(bundle.notebook)
    failing = failing_index(bundle)
    _show_failure(notebook, bundle, failing)
    failing_id = notebook.cells[failing].id if failing is not None else None
    cells = [cell for cell in notebook.cells if not _ours(cell)]
    for cell in cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    again = cells_to_run(bundle)
    front = [_cell("markdown", HEADER_ID, "header", header_text(bundle, notebook, again))]
    if bundle.version.language == "python":
        front.append(_cell("code", RESTORE_ID, "restore", restore_source(bundle.run.id)))
        if again.cells:
            front.append(_cell("code", RERUN_ID, "rerun", "%respawn rerun"))
    notebook.cells = front + cells
    notebook.metadata.pop("papermill", None)
    notebook.metadata["kernelspec"] = _kernelspec(notebook, bundle)
    notebook.metadata["respawn"] = {
        "run": bundle.run.id,
        "job": bundle.run.job,
        "version": bundle.run.version,
        "kernel": bundle.run.kernel,
        "state": str(bundle.run.state),
        "failing_cell_id": failing_id,
        "error": error_line(bundle),
        "link": bundle.link,
    }
    return notebook


def restore_source(run: str) -> str:
    """Return the source of the cell that brings a run's variables back."""
    return f"%load_ext respawn\n%respawn restore {run}"


def failing_index(bundle: DebugBundle) -> int | None:
    """Return the index of the cell to fix, in the executed notebook; None when every cell finished.

    A run whose kernel did not come up, or whose runner was lost between two cells, has no cell in its error:
    then it is the first one that did not finish.
    """
    if bundle.run.error is not None and bundle.run.error.cell is not None:
        return bundle.run.error.cell
    return next((cell.index for cell in bundle.cells if cell.state not in _FINISHED), None)


def unrestored_cells(bundle: DebugBundle) -> list[CellRecord]:
    """Return the finished cells before the failing one whose results the checkpoint does not hold."""
    failing = failing_index(bundle)
    boundary = bundle.checkpoint.cell if bundle.checkpoint else -1
    return [
        cell
        for cell in bundle.cells
        if cell.state in _FINISHED and boundary < cell.index and (failing is None or cell.index < failing)
    ]


def header_text(bundle: DebugBundle, notebook: NotebookNode, again: Again) -> str:
    """Return the header's Markdown: which run, version, parameters, cell and error, and what to do.

    Args:
        bundle: the run, as `service.debug` gave it.
        notebook: its executed notebook, in which the failing cell is named and addresses are looked for.
        again: the cells that would run again after a restore, and what stays lost.
    """
    run = bundle.run
    where = f"[{run.id}]({bundle.link})" if bundle.link else code_span(run.id)
    ended = f" on {run.finished_at:%d %b %Y at %H:%M} UTC" if run.finished_at else ""
    parameters = ", ".join(
        code_span(f"{name} = {json.dumps(value)}") for name, value in run.parameters.items()
    )
    rows = [
        ("Run", f"{where}, {run.state.replace('_', ' ')}{ended}"),
        ("Job", f"{code_span(run.job)}, version {run.version}"),
        ("Kernel", _kernel_line(bundle)),
        ("Parameters", parameters or "none"),
        ("Cell", _cell_line(bundle, notebook)),
    ]
    if run.state is not RunState.RUNNING:
        rows.append(("Error", code_span(error_line(bundle))))
    kept = [one for one in bundle.artifacts if not one.is_read]
    read = [one for one in bundle.artifacts if one.is_read]
    if kept:
        rows.append(("Kept", artifacts_line(kept)))
    if read:
        rows.append(("Read", artifacts_line(read)))
    table = "\n".join(f"| **{name}** | {value.replace('|', chr(92) + '|')} |" for name, value in rows)
    looking = "Looking into" if run.state is RunState.RUNNING else "Debugging"
    title = f"# {looking} {run.job.rpartition('/')[2]}"
    missing = f"{_missing(again)}{_addresses(bundle, notebook)}"
    return f"{title}\n\n| | |\n| --- | --- |\n{table}\n\n{_advice(bundle)}{missing}"


def _kernel_line(bundle: DebugBundle) -> str:
    run, lock = bundle.run, bundle.lock
    build = f", build {code_span(lock[:_DIGITS])}" if lock else ""
    newer = f"; a newer build exists: {code_span(run.newer_lock[:_DIGITS])}" if run.newer_lock else ""
    return f"{code_span(run.kernel)}{build}{newer}"


def code_span(text: str, limit: int = 200) -> str:
    """Return `text` as a Markdown code span on one line, cut at `limit` characters, whatever it contains."""
    line = " ".join(text.split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    fence = "`" * (1 + max((len(part) for part in _backticks(line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}" if line else ""


def _show_failure(notebook: NotebookNode, bundle: DebugBundle, failing: int | None) -> None:
    """Give the failing cell the error that ended it, and the cells after it no outputs."""
    for index, cell in code_cells(notebook):
        if failing is not None and index > failing:
            cell.outputs, cell.execution_count = [], None
    error = bundle.run.error
    if failing is None or error is None:
        return
    cell = notebook.cells[failing]
    if not any(output.output_type == "error" for output in cell.outputs):
        # A dead kernel or a timeout leaves no traceback of its own in the cell.
        lines = error.traceback.splitlines() or [f"{error.name}: {error.value}"]
        output = {"output_type": "error", "ename": error.name, "evalue": error.value, "traceback": lines}
        cell.outputs.append(_node(output))


def _advice(bundle: DebugBundle) -> str:
    if bundle.run.state is RunState.RUNNING:
        return (
            f"{_state_of_variables(bundle)} The run went on meanwhile; nothing that you do here changes it. "
            "It cannot be resumed from here: should it fail, open its *Debug* link.\n\n*Cells are counted "
            "from 0, without this header and the cell that restores.*"
        )
    return (
        f"{_state_of_variables(bundle)} Fix the cell, then press **Resume…** above to go on from there, or "
        f"**Restart…** to run everything again. In a terminal: `respawn resume {bundle.run.id} --notebook` "
        "and this file's name.\n\n*Cells are counted from 0, without this header and the cell that restores. "
        "Both are left out of the fixed version.*"
    )


def _missing(again: Again) -> str:
    """Return what the state does not hold: the cells that make it when asked to, and what stays lost."""
    parts = []
    if again.cells:
        parts.append(
            "Not run yet; the cell below with `%respawn rerun` runs them, to make what was not stored:"
        )
        cells = [f"- cell {cell.index}, {cell.why}: {code_span(cell.source, 80)}" for cell in again.cells]
        parts.append("\n".join(cells))
    if again.otherwise:
        parts.append("What they make may be another thing than it was:")
        parts.append("\n".join(f"- {code_span(note, 400)}" for note in again.otherwise))
    if again.lost:
        parts.append("Lost, and made again by no cell:")
        parts.append("\n".join(f"- {code_span(note, 400)}" for note in again.lost))
    return "".join(f"\n\n{part}" for part in parts)


def _addresses(bundle: DebugBundle, notebook: NotebookNode) -> str:
    """Return which cells above the failing one have asked where objects lie: they lie elsewhere now."""
    failing = failing_index(bundle)
    seen = {cell.index: cell.evidence for cell in bundle.cells}
    above = [(index, cell) for index, cell in code_cells(notebook) if failing is None or index < failing]
    asking = {
        index: how for index, cell in above if (how := asks_for_addresses(str(cell.source), seen.get(index)))
    }
    if bundle.checkpoint is None or not asking:
        return ""
    cells = [str(index) for index in asking]
    ways = ", ".join(code_span(way) for way in dict.fromkeys(way for how in asking.values() for way in how))
    some = f"Cell {cells[0]} asks" if len(cells) == 1 else f"Cells {', '.join(cells)} ask"
    return f"\n\n{some} for addresses ({ways}): in this process what was asked for is elsewhere."


def _state_of_variables(bundle: DebugBundle) -> str:
    language = bundle.version.language
    again = unrestored_cells(bundle)
    if language != "python":
        return f"A {language} kernel has no snapshots: run the cells from the top to look into it."
    if not again:
        return f"Restored, the variables are as they were just before {_the_cell(bundle)}."
    if bundle.checkpoint is None:
        return f"No state was kept before {_the_cell(bundle)}: run the cells above it again to look into it."
    names = ", ".join(str(cell.index) for cell in again)
    return (
        f"The variables are as they were after cell {bundle.checkpoint.cell}; run again what came after it "
        f"(cell {names}) before you go on."
    )


def _the_cell(bundle: DebugBundle) -> str:
    return "the cell that was running" if bundle.run.state is RunState.RUNNING else "the failing cell"


def _cell_line(bundle: DebugBundle, notebook: NotebookNode) -> str:
    failing = failing_index(bundle)
    if failing is None:
        return "none: every cell had finished"
    source = str(notebook.cells[failing].source).strip()
    return f"{failing}: {code_span(source.splitlines()[0], 80)}" if source else str(failing)


def error_line(bundle: DebugBundle) -> str:
    """Return what ended the run, such as `KeyError: 'price'`."""
    error = bundle.run.error
    if error is None:
        return str(bundle.run.state).replace("_", " ")
    return f"{error.name}: {error.value}" if error.value else error.name


def _kernelspec(notebook: NotebookNode, bundle: DebugBundle) -> dict[str, Any]:
    named = dict(notebook.metadata.get("kernelspec") or {})
    if named.get("name") == bundle.run.kernel:
        return named
    # Another kernel than the notebook's own was asked for when it was promoted.
    return {"name": bundle.run.kernel, "display_name": bundle.run.kernel, "language": bundle.version.language}


def _cell(kind: str, identifier: str, role: str, source: str) -> NotebookNode:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": identifier,
        "source": source,
        "metadata": {"respawn": {"role": role}},
    }
    if kind == "code":
        cell |= {"outputs": [], "execution_count": None}
    return _node(cell)


def _node(document: dict[str, Any]) -> NotebookNode:
    node: NotebookNode = from_dict(document)  # type: ignore[no-untyped-call]
    return node


def _ours(cell: NotebookNode) -> bool:
    role = (cell.metadata.get("respawn") or {}).get("role")
    return role in _ROLES or _PAPERMILL_MARK in (cell.metadata.get("tags") or [])


def _backticks(line: str) -> list[str]:
    return "".join(char if char == "`" else " " for char in line).split()
