"""Notebooks whose outputs are the same each time, and what is compared of a run of one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from respawn_jobs.api.service import Service

_FILE = Path(__file__).parents[1] / "data" / "notebooks" / "plain_and_warm.txt"


def _read() -> dict[str, list[str]]:
    parts = re.split(r"^== (\w+)\n", _FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {name: body.strip().split("\n--\n") for name, body in zip(parts[::2], parts[1::2], strict=True)}


NOTEBOOKS: dict[str, list[str]] = _read()
"""Short notebooks, by what they try. Outputs name no process, no time and no absolute place."""
_CHANGING = [
    (re.compile(r"/tmp/ipykernel_\d+/"), "/tmp/ipykernel/"),
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "0x…"),
]
"""What differs between two plain starts, too."""


def seen_of(service: Service, run: str) -> list[Any]:
    """Return what a person sees of a run, as JSON, without what differs from run to run anyway.

    Args:
        service: whom to ask.
        run: a run that has ended.
    """
    detail = service.show(run)
    cells = []
    for cell in detail.cells:
        streams: dict[str, str] = {}
        others = []
        for output in service.outputs(run, cell.index):
            if output["output_type"] == "stream":
                streams[output["name"]] = streams.get(output["name"], "") + output["text"]
            else:
                others.append(output)
        cells.append([cell.index, cell.state, cell.note, cell.execution_count, streams, others])
    error = detail.run.error
    whole = json.dumps(
        [detail.run.state, error and [error.cell, error.name, error.value], cells], default=_plain
    )
    for pattern, instead in _CHANGING:
        whole = pattern.sub(instead, whole)
    found: list[Any] = json.loads(whole)
    return found


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json")
