"""Simulated time, shared by all processes of a chaos test: so many times faster than the machine's clock.

It is a function of the system's monotonic clock, which all processes share, and of a small file by which the
test makes it jump, or run slower, for all of them at once.
"""

from __future__ import annotations

import mmap
import struct
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

_FORM = "dddd"
_SIZE = struct.calcsize(_FORM)


@dataclass(frozen=True)
class SimulatedClock:
    """A `Clock`. `base` is the moment that it begins with, in seconds since the epoch."""

    base: float
    rate: float
    """Simulated seconds in a real one, while nothing slows it down."""
    file: str

    @classmethod
    def starting(cls, base: datetime, rate: float, file: Path) -> SimulatedClock:
        """Make a clock that begins now."""
        file.write_bytes(struct.pack(_FORM, time.monotonic(), 0.0, rate, 0.0))
        return cls(base.timestamp(), rate, str(file))

    def __call__(self) -> datetime:
        """Return the present moment."""
        _, _, _, jumped = self._state()
        return datetime.fromtimestamp(self.base + self.passed() + jumped, UTC)

    def passed(self) -> float:
        """Return the simulated seconds since the beginning, those that it jumped over not counted."""
        since, before, rate, _ = self._state()
        return before + (time.monotonic() - since) * rate

    def jump(self, seconds: float) -> None:
        """Set the clock forward, or back, by simulated seconds, for every process."""
        since, before, rate, jumped = self._state()
        self._memory[:_SIZE] = struct.pack(_FORM, since, before, rate, jumped + seconds)

    def set_rate(self, rate: float) -> None:
        """Let time run faster or slower from now on, for every process."""
        _, _, _, jumped = self._state()
        now = time.monotonic()
        self._memory[:_SIZE] = struct.pack(_FORM, now, self.passed(), rate, jumped)

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()
        self.__dict__.pop("_memory", None)

    def _state(self) -> tuple[float, float, float, float]:
        # The one process that writes does so by one short copy; read until two looks agree.
        seen = b""
        while seen != (seen := self._memory[:_SIZE]):
            pass
        return struct.unpack(_FORM, seen)

    @cached_property
    def _memory(self) -> mmap.mmap:
        with Path(self.file).open("r+b") as file:
            return mmap.mmap(file.fileno(), _SIZE)
