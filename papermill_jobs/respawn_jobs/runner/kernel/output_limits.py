"""How much of what a notebook puts out is kept: a loop that prints for ever must not end the service."""

from __future__ import annotations

from typing import Any

from respawn_jobs.model.runs import CellError
from respawn_kernels.counting import how_many

CELL_OUTPUT_CHARACTERS = 20_000_000
_VALUE_CHARACTERS = 4_000
_TRACEBACK_CHARACTERS = 200_000


def bounded_error(error: CellError) -> CellError:
    """Return an error as the record keeps it: texts cut, and without what UTF-8 cannot write.

    The executed notebook keeps the whole.
    """
    return error.model_copy(
        update={
            "name": _cut(error.name, _VALUE_CHARACTERS),
            "value": _cut(error.value, _VALUE_CHARACTERS),
            "traceback": _cut(error.traceback, _TRACEBACK_CHARACTERS, keep_end=True),
        }
    )


def _cut(text: str, limit: int, *, keep_end: bool = False) -> str:
    text = text.encode(errors="replace").decode()
    if len(text) <= limit:
        return text
    note = (
        f"[{len(text) - limit:,} of {how_many(len(text), 'character')} cut; the executed notebook has them]"
    )
    return f"{note}\n{text[-limit:]}" if keep_end else f"{text[:limit]}… {note}"


class OutputBound:
    """Cuts what one cell puts out once it is too much; asked with each message of the kernel."""

    def __init__(self, limit: int = CELL_OUTPUT_CHARACTERS) -> None:
        self._limit = limit
        self._sizes: dict[int, int] = {}

    def bounded(self, message: dict[str, Any], cell: int) -> dict[str, Any] | None:
        """Return the message to keep: whole, cut with a line that says so, or None for nothing of it.

        Errors are always kept whole: they are why a cell failed.
        """
        kind = message["msg_type"]
        if kind == "clear_output":
            self._sizes.pop(cell, None)
        if kind not in ("stream", "display_data", "execute_result", "update_display_data"):
            return message
        content = message["content"]
        size = _size(content.get("text") if kind == "stream" else content.get("data"))
        before = self._sizes.get(cell, 0)
        if kind == "update_display_data":
            return message if size <= self._limit else None
        if before > self._limit:
            return None
        self._sizes[cell] = before + size
        if before + size <= self._limit:
            return message
        notice = f"\n[output cut by Respawn: a cell may put out {how_many(self._limit, 'character')}]\n"
        text = str(content["text"])[: self._limit - before] if kind == "stream" else ""
        name = content["name"] if kind == "stream" else "stderr"
        header = {**message["header"], "msg_type": "stream"}
        return {
            **message,
            "msg_type": "stream",
            "header": header,
            "content": {"name": name, "text": text + notice},
        }


def _size(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_size(key) + _size(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(_size(item) for item in value)
    return 8
