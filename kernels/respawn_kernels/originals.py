"""Functions of the standard library as they were before any cell ran.

A notebook may put its own in their places (`time.perf_counter = lambda: next(ticks)`): what Respawn asks
between the cells must neither use nor disturb them. A library that freezes the time replaces them in every
module where it finds them, so they are kept in a table. The agent imports this module when it starts.
"""

from __future__ import annotations

import builtins
import json
import os
import time
from typing import Any

_OWN: dict[str, Any] = {
    "monotonic": time.monotonic,
    "monotonic_ns": time.monotonic_ns,
    "perf_counter": time.perf_counter,
    "sleep": time.sleep,
    "strftime": time.strftime,
    "getpid": os.getpid,
    "getppid": os.getppid,
    "stat": os.stat,
    "scandir": os.scandir,
    "open": builtins.open,
    "dumps": json.dumps,
    "loads": json.loads,
}


def monotonic() -> float:
    """Return the seconds of a clock that never goes back."""
    return float(_OWN["monotonic"]())


def monotonic_ns() -> int:
    """Return the nanoseconds of a clock that never goes back."""
    return int(_OWN["monotonic_ns"]())


def perf_counter() -> float:
    """Return the seconds of the finest clock."""
    return float(_OWN["perf_counter"]())


def sleep(seconds: float) -> None:
    """Wait."""
    _OWN["sleep"](seconds)


def strftime(form: str) -> str:
    """Return the local time as text."""
    return str(_OWN["strftime"](form))


def getpid() -> int:
    """Return the id of this process."""
    return int(_OWN["getpid"]())


def getppid() -> int:
    """Return the id of the process that made this one, or adopted it."""
    return int(_OWN["getppid"]())


def status_of(path: str) -> os.stat_result:
    """Return what the system knows of a file. Raises OSError when it cannot be told."""
    found: os.stat_result = _OWN["stat"](path)
    return found


def scandir(path: str) -> Any:
    """Return an iterator over the entries of a directory. Raises OSError when it cannot be read."""
    return _OWN["scandir"](path)


def open_file(path: str, mode: str = "r", **more: Any) -> Any:
    """Open a file. Raises OSError when it cannot be opened."""
    return _OWN["open"](path, mode, **more)


def dumps(value: Any, **more: Any) -> str:
    """Return a value as JSON. Raises TypeError when it cannot be told so."""
    return str(_OWN["dumps"](value, **more))


def loads(text: str | bytes) -> Any:
    """Return what a JSON text says. Raises ValueError when it is none."""
    return _OWN["loads"](text)
