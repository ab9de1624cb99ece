"""Clocks for what takes an injected one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class MovedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        """Go on at once: `days`, `minutes`, `seconds` and what else `timedelta` has."""
        self.now += timedelta(**delta)

    def set(self, text: str) -> None:
        """Go to a moment in ISO 8601."""
        self.now = datetime.fromisoformat(text)
