"""Time that a machine with other work took away from what is tried."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path


def unhindered() -> float:
    """Return the seconds of a clock that stands still while a task waits for processor or disk.

    Bounds of time then say something of what is tried, and not of the tests beside it. The times are those of
    pressure stall information (Documentation/accounting/psi.rst of the Linux kernel); without it this is the
    ordinary clock.
    """
    return time.monotonic() - _stalled("cpu") - _stalled("io")


def _stalled(resource: str) -> float:
    with suppress(OSError):
        return int(Path(f"/proc/pressure/{resource}").read_text().split("total=")[1].split()[0]) / 1e6
    return 0.0
