"""The watch on one kernel's limits: looks at its processes and its directory, and ends it when it is over.

It runs in a thread of its own, so that nothing that the runner waits for delays it. Where there is a control
group, the system ends a kernel that is faster than the watch. A look costs a hundredth of a core at most: the
resident set sizes are read at each one, which costs little however large the kernel is; the proportional set
size only where they say that it may be too large.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from respawn_jobs.host import process_tree
from respawn_jobs.host.control_groups import ControlGroup
from respawn_jobs.host.directory_size import stored_bytes
from respawn_jobs.model.limits import DISK_LIMIT, OUT_OF_MEMORY, PROCESS_LIMIT, KernelLimits
from respawn_jobs.runner.kernel.limited_processes import KernelProcesses
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large

log = logging.getLogger(__name__)

_MIN_PAUSE, _MAX_PAUSE = 0.02, 0.25
_MAX_PAUSE_OF_PROCESSES = 0.1
"""Seconds between two looks; forks are quick, so that processes are counted more often."""
_FASTEST_GROWTH = 4e9
"""Bytes a second that a kernel takes at most: it bounds how soon a limit can be reached."""
_SPARING = 100.0
"""Seconds between two looks, for each second of CPU that one takes."""
_SPARING_EXACTLY = 10.0
"""The same between two measurements of the proportional set size near the limit: 10 % of a core."""
_SPARING_DISK = 50.0
_MAX_PAUSE_OF_DISK = 5.0


@dataclass(frozen=True)
class Exceeded:
    """What a kernel was ended for."""

    name: str
    message: str


@dataclass
class Peaks:
    """The most that was seen."""

    memory: int = 0
    processes: int = 0
    disk: int = 0


class LimitWatch:
    """Watches one kernel, from `start` to `close`."""

    def __init__(
        self,
        processes: KernelProcesses,
        limits: KernelLimits,
        group: ControlGroup | None,
        directory: Path | None,
        *,
        shared_with_held: Callable[[], int] = lambda: 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the watch, which does not look yet.

        Args:
            processes: the kernel with all that it starts.
            limits: what they may take.
            group: the control group that they are in; None where there is none.
            directory: of the run, whose growth counts; None where nothing is known of it.
            shared_with_held: returns how many bytes held children share with the kernel, which are its own.
            monotonic: the clock.
        """
        self.peaks = Peaks()
        self._processes = processes
        self._limits = limits
        self._group = group
        self._directory = directory if limits.disk_bytes is not None else None
        self._shared_with_held = shared_with_held
        self._monotonic = monotonic
        self._over: Exceeded | None = None
        self._measured = self._resident = 0
        self._resident_now = 0
        self._estimated = self._counted = 0
        """What the look before saw. A child that shares its parent's memory until it executes a program
        (vfork(2)) counts twice for a moment, and so does the process that forks a held child: what
        two looks in a row see is there."""
        self._may_measure = self._disk_due = self._disk_seen = float("-inf")
        self._size_before = self._grown = self._written = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="respawn-limits", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        pids = self._processes.all()
        self.peaks.memory, self.peaks.processes = self.measure(pids), len(pids)
        if self._directory is not None:
            self._size_before = stored_bytes(self._directory)
            self._written = self._bytes_written(pids)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._processes.reap()

    def exceeded(self) -> Exceeded | None:
        """Return what the kernel was ended for, by this watch or by the system; None for nothing."""
        if self._over is None:
            self._over = self._system_says()
        return self._over

    def look(self) -> float:
        """Look once, and end the kernel if it is over a limit; return the seconds until the next look."""
        before = time.thread_time()
        pids = self._processes.all()
        over = self._system_says() or self._memory(pids) or self._count(pids) or self._disk(pids)
        if over is not None:
            self._over = over
            self._processes.end()
            self._stop.set()
        return max(self._pace(), (time.thread_time() - before) * _SPARING)

    def measure(self, pids: list[int]) -> int:
        """Return the proportional set size of processes, as if nobody held their pages beside them."""
        started = time.thread_time()
        found = [memory for memory in map(process_tree.memory, pids) if memory is not None]
        self._measured = sum(memory.total for memory in found) + self._shared_with_held()
        self._resident = _resident(pids)
        self._may_measure = self._monotonic() + (time.thread_time() - started) * _SPARING_EXACTLY
        return self._measured

    def _watch(self) -> None:
        wait = _MIN_PAUSE
        while not self._stop.wait(wait):
            try:
                wait = self.look()
            except Exception:  # the boundary of the thread: a run must not lose its limits without a word
                log.exception("a look at the limits of a kernel failed")
                wait = _MAX_PAUSE

    def _pace(self) -> float:
        longest = _MAX_PAUSE if self._limits.processes is None else _MAX_PAUSE_OF_PROCESSES
        if self._limits.memory_bytes is None:
            return longest
        left = self._limits.memory_bytes - self._estimate(self._resident_now)
        return min(longest, max(_MIN_PAUSE, left / _FASTEST_GROWTH))

    def _estimate(self, resident: int) -> int:
        """Return about what they take: as it was measured, and what has become resident since."""
        return max(0, self._measured + resident - self._resident)

    def _memory(self, pids: list[int]) -> Exceeded | None:
        self._resident_now = _resident(pids)
        limit, estimate = self._limits.memory_bytes, self._estimate(self._resident_now)
        if limit is not None and estimate > limit and self._monotonic() >= self._may_measure:
            estimate = self.measure(pids)
            if estimate > limit and len(pids) > 1:
                self._stop.wait(_MIN_PAUSE)
                estimate = self.measure(self._processes.all())
            if estimate > limit:
                self.peaks.memory = max(self.peaks.memory, estimate)
                return self._out_of_memory(estimate, limit)
        self.peaks.memory = max(self.peaks.memory, min(estimate, self._estimated))
        self._estimated = estimate
        return None

    def _count(self, pids: list[int]) -> Exceeded | None:
        count, limit = len(pids), self._limits.processes
        if limit is not None and count > limit:
            self._stop.wait(_MIN_PAUSE)
            count = min(count, len(self._processes.all()))
        self.peaks.processes = max(self.peaks.processes, min(count, self._counted))
        self._counted = count
        if limit is None or count <= limit:
            return None
        self.peaks.processes = max(self.peaks.processes, count)
        return self._too_many(limit)

    def _disk(self, pids: list[int]) -> Exceeded | None:
        """See how much the directory has grown, where what was written since can have made it too much."""
        limit, now = self._limits.disk_bytes, self._monotonic()
        if self._directory is None or limit is None or now < self._disk_due:
            return None
        written = self._bytes_written(pids)
        # fallocate(2) and a mapped file take room without a write: so it is looked at now and then anyway.
        if self._grown + written - self._written < limit and now < self._disk_seen + _MAX_PAUSE_OF_DISK:
            return None
        before = time.thread_time()
        self._grown = max(0, stored_bytes(self._directory) - self._size_before)
        self._written, self._disk_seen = written, now
        self._disk_due = now + (time.thread_time() - before) * _SPARING_DISK
        self.peaks.disk = max(self.peaks.disk, self._grown)
        if self._grown <= limit:
            return None
        grown, most = how_large(self._grown), how_large(limit)
        return Exceeded(
            DISK_LIMIT, f"the run's directory grew by {grown}, and may grow by {most} (disk_limit_bytes)"
        )

    def _bytes_written(self, pids: list[int]) -> int:
        used = process_tree.usage(pids)
        return max(self._written, used.written_bytes, used.stored_bytes)

    def _system_says(self) -> Exceeded | None:
        if self._group is None:
            return None
        limit = self._limits.memory_bytes
        with suppress(OSError):
            if limit is not None and self._group.memory_kills():
                self.peaks.memory = max(self.peaks.memory, self._group.memory_peak(), limit)
                return self._out_of_memory(self.peaks.memory, limit)
        with suppress(OSError):
            if self._limits.processes is not None and self._group.refused_forks():
                return self._too_many(self._limits.processes)
        return None

    def _out_of_memory(self, taken: int, limit: int) -> Exceeded:
        return Exceeded(
            OUT_OF_MEMORY,
            f"the kernel and its processes took {how_large(taken)} of memory, and may take "
            f"{how_large(limit)} (memory_limit_bytes)",
        )

    def _too_many(self, limit: int) -> Exceeded:
        count = max(self.peaks.processes, limit + 1)
        return Exceeded(
            PROCESS_LIMIT,
            f"the kernel had {how_many(count, 'process', 'processes')}, itself included, and may have "
            f"{limit} (process_limit)",
        )


def _resident(pids: list[int]) -> int:
    return sum(process_tree.resident_bytes(pid) or 0 for pid in pids)
