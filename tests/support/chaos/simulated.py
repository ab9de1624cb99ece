"""Simulated time, shared by all processes of a chaos test: so many times faster than the machine's clock.

It is a function of the system's monotonic clock, which all processes share, and of a file of eight bytes by
which the test makes it jump for all of them at once.
"""

from __future__ import annotations

import mmap
import struct
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class SimulatedClock:
    """A `Clock`. `began` is the monotonic second at which it shows `base`, in seconds since the epoch."""

    began: float
    base: float
    rate: float
    """Simulated seconds in a real one."""
    file: str

    @classmethod
    def starting(cls, base: datetime, rate: float, file: Path) -> SimulatedClock:
        """Make a clock that shows `base` now."""
        file.write_bytes(struct.pack("d", 0.0))
        return cls(time.monotonic(), base.timestamp(), rate, str(file))

    def __call__(self) -> datetime:
        """Return the present moment."""
        passed = (time.monotonic() - self.began) * self.rate
        (jumped,) = struct.unpack("d", self._memory[:8])
        return datetime.fromtimestamp(self.base + passed + jumped, UTC)

    def jump(self, seconds: float) -> None:
        """Set the clock forward, or back, by simulated seconds, for every process."""
        (jumped,) = struct.unpack("d", self._memory[:8])
        self._memory[:8] = struct.pack("d", jumped + seconds)

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()
        self.__dict__.pop("_memory", None)

    @cached_property
    def _memory(self) -> mmap.mmap:
        with Path(self.file).open("r+b") as file:
            return mmap.mmap(file.fileno(), 8)
