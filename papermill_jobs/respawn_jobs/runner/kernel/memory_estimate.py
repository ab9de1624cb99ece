"""How much memory the processes of one kernel take: measured now and then, and estimated in between.

What counts is the proportional set size, which the system finds by walking all pages. Between two
measurements two figures are read that cost little however large the processes are: what has become resident
since, and how often pages were brought in. Forked processes that rewrite what they share take more and more
without becoming larger: the resident sets stay, and the faults tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from respawn_jobs.host import process_tree

_ROUTINE_SHARE, _PRESSING_SHARE = 0.01, 0.1
"""What measuring may take of a core: as a routine, and while memory may be over its limit."""
_ROUTINE_PAUSES = (0.25, 10.0)
"""The fewest and the most seconds between two measurements that are made as a routine."""
_MAX_PRESSING_PAUSE = 2.0
"""The most seconds for which memory may be over its limit without being measured."""


class MemoryEstimate:
    """The memory of a kernel and of what it has started."""

    def __init__(self, shared_with_held: Callable[[], int], monotonic: Callable[[], float]) -> None:
        """Know nothing yet; see `measure`.

        Args:
            shared_with_held: returns how many bytes held children share with the kernel, which are its own.
            monotonic: the clock.
        """
        self.probable = 0
        """Bytes: what was measured, and what has become resident since."""
        self.most = 0
        """Bytes that it can be at most, where that matters: each fault may have copied a page."""
        self._shared_with_held = shared_with_held
        self._monotonic = monotonic
        self._measured = self._resident = 0
        self._faults: dict[int, int] = {}
        """Of each process, when it was measured."""
        self._routine_due = self._pressing_due = float("-inf")

    def look(self, pids: list[int], limit: int | None) -> None:
        """Estimate anew.

        Args:
            pids: the processes.
            limit: bytes that they may take; None for no limit.
        """
        resident = _resident(pids)
        self.probable = self.most = max(0, self._measured + resident - self._resident)
        if limit is not None and resident > limit >= self.probable:
            copied = sum(max(0, now - self._faults.get(pid, 0)) for pid, now in _faults(pids).items())
            self.most = max(self.probable, min(resident, self.probable + copied * process_tree.PAGE))

    def due(self, *, pressing: bool, several: bool) -> bool:
        """Return whether to measure now.

        Args:
            pressing: whether memory may be over its limit.
            several: whether there is more than one process, so that the estimate may be far off.
        """
        now = self._monotonic()
        return (pressing and now >= self._pressing_due) or (several and now >= self._routine_due)

    def measure(self, pids: list[int]) -> int:
        """Return the proportional set size of processes, as if nobody held their pages beside them."""
        before = time.thread_time()
        found = [memory for memory in map(process_tree.memory, pids) if memory is not None]
        self.probable = self.most = sum(memory.total for memory in found) + self._shared_with_held()
        self._measured, self._resident, self._faults = self.probable, _resident(pids), _faults(pids)
        now, cost = self._monotonic(), time.thread_time() - before
        self._pressing_due = now + min(_MAX_PRESSING_PAUSE, cost / _PRESSING_SHARE)
        fewest, most = _ROUTINE_PAUSES
        self._routine_due = now + min(most, max(fewest, cost / _ROUTINE_SHARE))
        return self._measured


def _resident(pids: Iterable[int]) -> int:
    return sum(process_tree.resident_bytes(pid) or 0 for pid in pids)


def _faults(pids: Iterable[int]) -> dict[int, int]:
    return {pid: process_tree.minor_faults(pid) for pid in pids}
