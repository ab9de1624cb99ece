"""The process's one audit hook, which passes events to the handlers that are set now.

Python cannot remove an audit hook (PEP 578), so there is one for the process, added with the first handlers,
and it looks up one name when there are none. It raises nothing of its own and catches nothing: what a
signal's handler raises while it runs is the notebook's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

Handler = Callable[[tuple[Any, ...]], None]
_handlers: dict[str, Handler] = {}
_installed = False


def listen(handlers: Mapping[str, Handler]) -> None:
    """Have these handlers called, by the name of the audit event, and no others from now on."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    stop()
    _handlers.update(handlers)


def stop() -> None:
    """Call no handler any more."""
    _handlers.clear()


def current_frame() -> Any:
    """Return the frame of the function that calls this; `sys._getframe` would cause an event of its own."""
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as here:
        return here.__traceback__.tb_frame.f_back  # type: ignore[union-attr]


def _hook(
    event: str, arguments: tuple[Any, ...], find: Callable[[str], Handler | None] = _handlers.get
) -> None:
    handler = find(event)
    if handler is not None:
        handler(arguments)
