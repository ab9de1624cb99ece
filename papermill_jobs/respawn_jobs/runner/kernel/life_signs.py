"""Signs of life of a running cell: CPU time, bytes of files, processes that come or go, traffic, outputs.

A kernel that waits is not quite still: its own threads wake up once or twice a second, which takes some
thousandths of a percent to 0.1 % of a core and eight bytes each. What does not exceed that is no sign.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.host.process_tree import ProcessUsage
from respawn_kernels.counting import how_many

_STILL_CPU = (0.01, 0.002)
_STILL_BYTES = (1024, 64)
"""What a kernel that waits uses at most: at once, and in each second."""


class LifeSigns:
    """Knows when a cell was last seen to do something."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic, clock: Clock = utc_now) -> None:
        """Begin with a cell that has just started.

        Args:
            monotonic: returns seconds of a clock that never goes back.
            clock: tells the time, in UTC.
        """
        self._monotonic = monotonic
        self._clock = clock
        self._then = self._now = ProcessUsage(0.0, 0, 0, 0, ())
        self._traffic: int | None = None
        self.since = clock()
        """When it was last seen to do something."""
        self._since = monotonic()

    @property
    def silent_seconds(self) -> float:
        """For how long it has given no sign."""
        return self._monotonic() - self._since

    def seen(self) -> None:
        """Note a sign of life, such as an output, or that the cell begins."""
        self._then = self._now
        self.since, self._since = self._clock(), self._monotonic()

    def look(self, used: ProcessUsage) -> None:
        """Note what all of the kernel's processes have used since they began, if that is a sign of life."""
        self._now = used
        then, seconds = self._then, self.silent_seconds
        if (
            used.cpu_seconds - then.cpu_seconds > _STILL_CPU[0] + _STILL_CPU[1] * seconds
            or _bytes(used) - _bytes(then) > _STILL_BYTES[0] + _STILL_BYTES[1] * seconds
            or used.stored_bytes > then.stored_bytes
            or set(used.pids) != set(then.pids)
        ):
            self.seen()

    def hear(self, traffic: int | None) -> bool:
        """Note what changes whenever one of their connections passes on something; None if nobody can tell.

        Returns whether there was a number before to compare it with: else it tells nothing yet.
        """
        before, self._traffic = self._traffic, traffic
        if traffic is not None and before is not None and traffic != before:
            self.seen()
        return traffic is None or before is not None

    def in_words(self) -> str:
        """Return what was seen since the last sign, in words."""
        cpu = self._now.cpu_seconds - self._then.cpu_seconds
        silent = how_many(round(self.silent_seconds), "second")
        return (
            f"no sign of life for {silent}: since {self.since:%Y-%m-%d %H:%M:%S} UTC it used {cpu:.2f} s of "
            "CPU, read and wrote nothing and put nothing out"
        )


def _bytes(used: ProcessUsage) -> int:
    return used.read_bytes + used.written_bytes
