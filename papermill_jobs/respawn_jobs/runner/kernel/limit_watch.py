"""The watch on one kernel's limits: looks at its processes and its directory, and ends it when it is over.

It runs in a thread of its own, so that nothing that the runner waits for delays it. Where there is a control
group, the system ends a kernel that is faster than the watch. Looks cost a hundredth of a core, or more where
that would leave more than a second between two. What takes long happens less often: memory is measured where
the estimate may be wrong, and the directory is scanned in another thread.
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
from respawn_jobs.model.limits import DISK_LIMIT, OUT_OF_MEMORY, PROCESS_LIMIT, KernelLimits
from respawn_jobs.runner.kernel.directory_growth import DirectoryGrowth
from respawn_jobs.runner.kernel.limited_processes import KernelProcesses
from respawn_jobs.runner.kernel.memory_estimate import MemoryEstimate
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large

log = logging.getLogger(__name__)

_MIN_PAUSE, _MAX_PAUSE = 0.02, 0.25
_MAX_PAUSE_OF_PROCESSES = 0.1
"""Seconds between two looks; forks are quick, so that processes are counted more often."""
_HARD_MAX_PAUSE = 1.0
"""Seconds between two looks, however much each one costs: a kernel may have thousands of processes."""
_FASTEST_GROWTH = 4e9
"""Bytes a second that a kernel takes at most: it bounds how soon a limit can be reached."""
_SPARING = 100.0
"""Seconds between two looks, for each second of CPU that one takes; `MemoryEstimate` spares by itself."""


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
        stop: threading.Event | None = None,
        shared_with_held: Callable[[], int] = lambda: 0,
        allowed_beside: Callable[[], int] = lambda: 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the watch, which does not look yet.

        Args:
            processes: the kernel with all that it starts.
            limits: what they may take.
            group: the control group that they are in; None where there is none.
            directory: of the run, whose growth counts; None where nothing is known of it.
            stop: ends the watch when it is set, and a `start` that takes long; None for one of its own.
            shared_with_held: returns how many bytes held children share with the kernel, which are its own.
            allowed_beside: sees to what the group may have for held children, beside the kernel's own memory;
                returns how many bytes that is.
            monotonic: the clock.
        """
        self.peaks = Peaks()
        self._allowed_beside = allowed_beside
        self._allowed = 0
        """The most bytes that it was."""
        self._processes = processes
        self._limits = limits
        self._group = group
        self._over: Exceeded | None = None
        self._memory = MemoryEstimate(shared_with_held, monotonic)
        self._estimated = self._counted = 0
        """What the look before saw. A child that shares its parent's memory until it executes a program
        (vfork(2)) counts twice for a moment, and so does the process that forks a held child: what
        two looks in a row see is there."""
        self._stop = stop or threading.Event()
        self._growth = (
            DirectoryGrowth(directory, limits.disk_bytes, self._stop)
            if directory is not None and limits.disk_bytes is not None
            else None
        )
        self._thread = threading.Thread(target=self._watch, name="respawn-limits", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        pids = self._processes.all()
        self.peaks.memory, self.peaks.processes = self._memory.measure(pids), len(pids)
        if self._growth is not None:
            self._growth.start(_bytes_written(pids))
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._growth is not None:
            self._growth.close()
        self._processes.reap()

    def exceeded(self) -> Exceeded | None:
        """Return what the kernel was ended for, by this watch or by the system; None for nothing."""
        if self._over is None:
            self._over = self._system_says()
        return self._over

    def look(self) -> float:
        """Look once, and end the kernel if it is over a limit; return the seconds until the next look."""
        before = time.thread_time()
        self._allowed = max(self._allowed, self._allowed_beside())
        pids = self._processes.all()
        self._memory.look(pids, self._limits.memory_bytes)
        over = self._system_says() or self._count(pids) or self._disk(pids)
        cost = time.thread_time() - before
        over = over or self._size(pids)
        if over is not None:
            self._over = over
            self._processes.end()
            self._stop.set()
        return max(self._pace(), min(_HARD_MAX_PAUSE, cost * _SPARING))

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
        left = self._limits.memory_bytes - self._memory.most
        return min(longest, max(_MIN_PAUSE, left / _FASTEST_GROWTH))

    def _size(self, pids: list[int]) -> Exceeded | None:
        """See how much memory they take, and measure it where the estimate may be wrong."""
        limit, seen = self._limits.memory_bytes, self._memory
        pressing = limit is not None and seen.most > limit
        size = seen.probable
        if seen.due(pressing=pressing, several=len(pids) > 1):
            size = seen.measure(pids)
            if limit is not None and size > limit and len(pids) > 1:
                self._stop.wait(_MIN_PAUSE)
                size = seen.measure(self._processes.all())
            if limit is not None and size > limit:
                self.peaks.memory = max(self.peaks.memory, size)
                return self._out_of_memory(size, limit)
        self.peaks.memory = max(self.peaks.memory, min(size, self._estimated))
        self._estimated = size
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
        """See how much the directory had grown at its last scan."""
        limit = self._limits.disk_bytes
        if self._growth is None or limit is None:
            return None
        self._growth.wrote(_bytes_written(pids))
        self.peaks.disk = max(self.peaks.disk, self._growth.grown)
        if self._growth.grown <= limit:
            return None
        grown, most = how_large(self._growth.grown), how_large(limit)
        return Exceeded(
            DISK_LIMIT, f"the run's directory grew by {grown}, and may grow by {most} (disk_limit_bytes)"
        )

    def _system_says(self) -> Exceeded | None:
        if self._group is None:
            return None
        limit, kills, refused = self._limits.memory_bytes, 0, 0
        with suppress(OSError):
            kills = self._group.memory_kills() if limit is not None else 0
        if limit is not None and kills:
            peak = 0
            with suppress(OSError):  # version 2 tells it since Linux 5.19
                peak = self._group.memory_peak() - max(self._allowed, self._allowed_beside())
            self.peaks.memory = max(self.peaks.memory, peak, limit)
            return self._out_of_memory(self.peaks.memory, limit)
        with suppress(OSError):
            refused = self._group.refused_forks() if self._limits.processes is not None else 0
        # The group counts threads: what was refused says nothing of how many processes there are.
        return self._count(self._processes.all()) if refused else None

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


def _bytes_written(pids: list[int]) -> int:
    used = process_tree.usage(pids)
    return max(used.written_bytes, used.stored_bytes)
