"""Functions of the standard library as they were before any cell ran.

A notebook may put its own in their places (`time.perf_counter = lambda: next(ticks)`): what Respawn asks
between the cells must neither use nor disturb them. A library that freezes the time replaces them in every
module where it finds them, so they are kept in a table. The agent imports this module when it starts.
"""

from __future__ import annotations

import builtins
import json
import os
import stat
import time
from typing import Any

from respawn_kernels.session_start import at_session_start

_OWN: dict[str, Any] = {
    "monotonic": time.monotonic,
    "monotonic_ns": time.monotonic_ns,
    "perf_counter": time.perf_counter,
    "sleep": time.sleep,
    "strftime": time.strftime,
    "getpid": os.getpid,
    "getppid": os.getppid,
    "stat": os.stat,
    "lstat": os.lstat,
    "scandir": os.scandir,
    "open": builtins.open,
    "dumps": json.dumps,
    "loads": json.loads,
}

_kernel = 0


@at_session_start
def _note_kernel() -> None:
    global _kernel
    _kernel = os.getpid()


def kernel_pid() -> int:
    """Return the kernel's process id, also in the children that it forks to write its state."""
    return _kernel


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
    """Suspend this thread for some seconds."""
    _OWN["sleep"](seconds)


def strftime(form: str) -> str:
    """Return the local time as text, in a format of strftime(3)."""
    return str(_OWN["strftime"](form))


def getpid() -> int:
    """Return the id of this process."""
    return int(_OWN["getpid"]())


def getppid() -> int:
    """Return the id of the process that made this one, or adopted it."""
    return int(_OWN["getppid"]())


def status_of(path: str) -> os.stat_result:
    """Return the result of stat(2) for a path. Raises OSError when there is none."""
    found: os.stat_result = _OWN["stat"](path)
    return found


def is_link(path: str) -> bool:
    """Return whether a path is a symbolic link."""
    try:
        return stat.S_ISLNK(_OWN["lstat"](path).st_mode)
    except (OSError, ValueError):
        return False


def is_directory(path: str) -> bool:
    """Return whether a path is a directory, or a link to one."""
    try:
        return stat.S_ISDIR(_OWN["stat"](path).st_mode)
    except (OSError, ValueError):
        return False


def scandir(path: str) -> Any:
    """Return an iterator over the entries of a directory. Raises OSError when it cannot be read."""
    return _OWN["scandir"](path)


def open_file(path: str, mode: str = "r", **more: Any) -> Any:
    """Open a file.

    Args:
        path: of the file.
        mode: as for `open`.
        **more: other arguments of `open`.

    Raises:
        OSError: it cannot be opened.
    """
    return _OWN["open"](path, mode, **more)


def dumps(value: Any, **more: Any) -> str:
    """Return a value as JSON. Raises TypeError when JSON has no form for it."""
    return str(_OWN["dumps"](value, **more))


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError when it is not JSON."""
    return _OWN["loads"](text)
