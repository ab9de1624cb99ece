"""Time as an argument: whatever needs the present moment receives a `Clock`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present moment as an aware UTC datetime."""


def utc_now() -> datetime:
    """Return the system's present moment in UTC."""
    return datetime.now(UTC)
