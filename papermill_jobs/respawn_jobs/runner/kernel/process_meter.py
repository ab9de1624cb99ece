"""What a kernel and the processes below it use while a cell runs, read from outside.

A kernel that is stuck in C, or dead, is measured as any other. The held child and what it starts are no
descendants of the kernel and have sessions of their own, so they do not count; memory that they share with
the kernel is the kernel's. Reading costs half a percent of a core at most, in the long run and however large
the kernel is: what costs more is read less often.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from respawn_jobs.host import process_tree
from respawn_jobs.host.process_tree import ProcessUsage
from respawn_jobs.host.tcp_traffic import traffic
from respawn_jobs.model.cell_cost import CellCost
from respawn_jobs.runner.kernel.limited_processes import shared_with_held_children
from respawn_kernels.exchange.messages import process_name

_SPARING = 400.0
"""Seconds between two readings, for each second of CPU that one takes. Two kinds of them: 0.5 % of a core."""
_SHARE_AT_END = 0.005
_SECONDS_AT_END, _LONG_ENOUGH = 0.002, 0.2
"""What the last reading of a cell's memory may take: a share of the cell's time, and so long in any case
where the cell took a while. Without it the kernel's own peak is enough, but for libraries just imported."""


class ProcessMeter:
    """Measures one cell after the other of one kernel; its methods may be called from any thread."""

    def __init__(self, pid: int, spool: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Know which processes count.

        Args:
            pid: of the kernel, which leads a session of its own and is a child of this process.
            spool: names its held children.
            monotonic: the clock.
        """
        self._pid = pid
        self._held = process_name(spool)
        self._monotonic = monotonic
        self._started = process_tree.started(pid)
        self._lock = threading.Lock()
        self._began = monotonic()
        self._first = self._last = ProcessUsage(0.0, 0, 0, 0, ())
        self._peak = 0
        self._measure: process_tree.Measure = "pss"
        self._old_peak: int | None = None
        self._others = 0
        """Of the kernel's resident bytes, those that other programs have as well: libraries, mostly."""
        self._memory_due = float("-inf")
        self._memory_cost = 0.0
        self.seconds_between = 0.0
        """How long to wait before the next `look`, at least."""

    def begin(self) -> ProcessUsage:
        """Begin with a cell; return what had been used before."""
        with self._lock:
            self._began = self._monotonic()
            self._peak = 0
            self._old_peak = (
                None if process_tree.reset_peak(self._pid) else process_tree.peak_bytes(self._pid)
            )
            self._last = ProcessUsage(0.0, 0, 0, 0, ())
            self._first = self._used()
            self._read_memory(self._first.pids, self._began >= self._memory_due)
            return self._first

    def look(self) -> ProcessUsage:
        """Return what has been used up to now, and see how much memory is in use."""
        with self._lock:
            before = time.thread_time()
            used = self._used()
            self.seconds_between = (time.thread_time() - before) * _SPARING
            self._read_memory(used.pids, self._monotonic() >= self._memory_due)
            self._read_peak()
            return used

    def traffic(self, ignored_ports: Collection[int]) -> int | None:
        """Return what changes whenever a TCP connection of the processes passes on something; None if unseen.

        Args:
            ignored_ports: those by which the kernel hears us.
        """
        with self._lock:
            before = time.thread_time()
            found = traffic(self._last.pids, ignored_ports)
            self.seconds_between += (time.thread_time() - before) * _SPARING
            return found

    def end(self) -> CellCost:
        """Return what the cell has taken; of a kernel that died, what was seen last."""
        with self._lock:
            used = self._used()
            took = self._monotonic() - self._began
            allowed = max(_SHARE_AT_END * took, _SECONDS_AT_END if took > _LONG_ENOUGH else 0.0)
            self._read_memory(used.pids, self._memory_cost <= allowed)
            self._read_peak()
        return self.cost

    @property
    def cost(self) -> CellCost:
        """What the cell has taken, as far as it was seen."""
        first, last = self._first, self._last
        return CellCost(
            cpu_seconds=round(max(0.0, last.cpu_seconds - first.cpu_seconds), 6),
            memory_bytes=self._peak,
            memory_measure=self._measure,
            read_bytes=max(0, last.read_bytes - first.read_bytes),
            written_bytes=max(0, last.written_bytes - first.written_bytes),
        )

    def _there(self) -> bool:
        # The number of a process that has ended is given to another one in time.
        return process_tree.started(self._pid) == self._started

    def _used(self) -> ProcessUsage:
        """Read what was used; it never goes down, though a process may hide between two readings."""
        if self._there():
            found = process_tree.usage(process_tree.family(self._pid, os.getpid()))
            self._last = ProcessUsage(
                max(found.cpu_seconds, self._last.cpu_seconds),
                max(found.read_bytes, self._last.read_bytes),
                max(found.written_bytes, self._last.written_bytes),
                max(found.stored_bytes, self._last.stored_bytes),
                found.pids,
            )
        return self._last

    def _read_memory(self, pids: Sequence[int], wanted: bool) -> None:
        if not wanted or not pids:
            return
        before = time.thread_time()
        kernel, resident = process_tree.memory(self._pid), process_tree.resident_bytes(self._pid)
        if kernel is not None and resident is not None and self._there():
            below = [process_tree.memory(pid) for pid in pids if pid != self._pid]
            found = [kernel, *(memory for memory in below if memory is not None)]
            proportional = all(memory.measure == "pss" for memory in found)
            # The kernel wrote what a held child shares with it, and half of it counts for each of the two.
            held = shared_with_held_children(self._held) if proportional else 0
            self._measure = "pss" if proportional else "rss"
            self._others = max(0, resident - kernel.total - held) if proportional else 0
            self._peak = max(self._peak, sum(memory.total for memory in found) + held)
        self._memory_cost = time.thread_time() - before
        self._memory_due = self._monotonic() + self._memory_cost * _SPARING

    def _read_peak(self) -> None:
        """See the kernel's own peak, also between two readings of all memory; it costs nothing."""
        peak = process_tree.peak_bytes(self._pid) if self._there() else None
        if peak is not None and (self._old_peak is None or peak > self._old_peak):
            self._peak = max(self._peak, peak - self._others)
