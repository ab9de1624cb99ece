"""The process's one audit hook, which hands events to whoever listens now.

Python cannot remove an audit hook, so there is one for the process, added when the first listener comes, and
it looks up one name when nobody listens. It raises nothing of its own and catches nothing: what a signal's
handler raises while it runs is the notebook's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

Handler = Callable[[tuple[Any, ...]], None]
_handlers: dict[str, Handler] = {}
_installed = False


def listen(handlers: Mapping[str, Handler]) -> None:
    """Have these handlers called, by the name of the event, and no others from now on."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    stop()
    _handlers.update(handlers)


def stop() -> None:
    """Call no handler any more."""
    _handlers.clear()


def calling_frame(depth: int = 1) -> FrameType | None:
    """Return the frame of the code that caused the event.

    `sys._getframe` would cause an event of its own.

    Args:
        depth: 1 when a handler calls this, 2 when a function does that a handler called, and so on.
    """
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as here:
        frame: Any = here.__traceback__.tb_frame  # type: ignore[union-attr]
    for _ in range(depth + 2):  # this function, the handler and what it called, the hook
        if frame is not None:
            frame = frame.f_back
    return frame  # type: ignore[no-any-return]


def _hook(
    event: str, arguments: tuple[Any, ...], find: Callable[[str], Handler | None] = _handlers.get
) -> None:
    handler = find(event)
    if handler is not None:
        handler(arguments)
