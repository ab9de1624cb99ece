"""IPython's tap on the output streams while a cell runs, which must not come into a state.

`InteractiveShell._tee` (IPython 9) puts a function in the place of the streams' `write` and takes it away
after the cell. A state is captured in a request that IPython runs as a cell.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

_TAP = "InteractiveShell._tee.<locals>.write"


@contextmanager
def without_taps() -> Iterator[None]:
    """Take the taps away meanwhile."""
    streams: list[Any] = [sys.stdout, sys.stderr]
    taps = [(stream, tap) for stream in streams if (tap := _tap_of(stream)) is not None]
    try:
        for stream, tap in taps:
            stream.write = _below(tap)
        yield
    finally:
        for stream, tap in taps:
            stream.write = tap


def _tap_of(stream: Any) -> FunctionType | None:
    write = getattr(stream, "__dict__", {}).get("write")
    return write if isinstance(write, FunctionType) and write.__qualname__ == _TAP else None


def _below(tap: FunctionType) -> Any:
    cells = dict(zip(tap.__code__.co_freevars, tap.__closure__ or (), strict=True))
    return cells["original_write"].cell_contents
