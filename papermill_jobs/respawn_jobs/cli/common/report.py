"""What the command tells about a run: one plain document, the same for a run here and on a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from respawn_jobs.model.runs import CellRecord, CellState, RunDetail

_ENDED = (CellState.EXECUTED, CellState.REUSED, CellState.FAILED, CellState.SKIPPED)


def run_report(detail: RunDetail, notebook: Path | None) -> dict[str, Any]:
    """Return the document that `respawn run --json` prints.

    Args:
        detail: The run with its cells.
        notebook: Where the executed notebook lies; None when there is none.

    Returns:
        `run`, `state`, `notebook`, `error` and `cells`, and what is handy beside them. Cells that have not
        ended are left out.
    """
    run = detail.run
    return {
        "run": run.id,
        "state": run.state.value,
        "notebook": str(notebook) if notebook else None,
        "error": run.error.model_dump(mode="json") if run.error else None,
        "cells": [_cell(cell) for cell in detail.cells if cell.state in _ENDED],
        "job": run.job,
        "version": run.version,
        "kernel": run.kernel,
        "parameters": run.parameters,
        "origin": run.origin,
        "resume_from": run.resume_from,
        "resumed_by": run.resumed_by,
    }


def _cell(cell: CellRecord) -> dict[str, Any]:
    return {"index": cell.index, "state": cell.state.value, "seconds": cell.seconds, "note": cell.note}


def text_of(outputs: list[dict[str, Any]]) -> str:
    """Return what a terminal shows of a cell's outputs; tracebacks keep their ANSI colours."""
    return "".join(_text(output) for output in outputs)


def _text(output: dict[str, Any]) -> str:
    kind = output.get("output_type")
    if kind == "stream":
        return _joined(output.get("text"))
    if kind == "error":
        lines = output.get("traceback") or [f"{output.get('ename')}: {output.get('evalue')}"]
        return "\n".join(lines) + "\n"
    data = output.get("data") or {}
    if "text/plain" in data:
        return _joined(data["text/plain"]).rstrip("\n") + "\n"
    return f"[{', '.join(sorted(data)) or kind}]\n"


def _joined(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text or "")
