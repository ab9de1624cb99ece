"""Time as an argument: whatever needs the present moment receives a `Clock`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present moment as an aware UTC datetime."""


def utc_now() -> datetime:
    """Return the system's present moment in UTC."""
    return datetime.now(UTC)


def lease_clock() -> float:
    """Return seconds that also pass while the machine sleeps, as they do for the service."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
