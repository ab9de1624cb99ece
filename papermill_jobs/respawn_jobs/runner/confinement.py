"""Holds the kernel of one session to its limits, and tells when it was ended for one.

Whoever may make control groups has the system hold it: see `host.control_groups`. A watch looks in any case:
it sees what no group counts (the directory), and ends a kernel whose processes would live on without it. A
held child and its writers are taken out of the group, so that they outlive the kernel. The old pages that
they keep stay with the group, so its limit is that much higher meanwhile, and the watch sees what the kernel
itself takes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
import threading
from contextlib import suppress
from pathlib import Path

from respawn_jobs.host import process_tree
from respawn_jobs.host.control_groups import ControlGroup, Controller, make_group
from respawn_jobs.model.cell_cost import CellCost
from respawn_jobs.model.limits import (
    DISK_LIMIT,
    MEMORY_TOO_SMALL,
    OUT_OF_MEMORY,
    PROCESS_LIMIT,
    KernelLimits,
    LimitedBy,
    LimitRecord,
)
from respawn_jobs.model.runs import CellError
from respawn_jobs.model.settings import Cause
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from respawn_jobs.runner.kernel.limit_watch import LimitWatch
from respawn_jobs.runner.kernel.limited_processes import KernelProcesses, shared_with_held_children
from respawn_jobs.runner.session_end import Failed
from respawn_kernels.exchange.messages import Held, process_name
from respawn_kernels.sizes import how_large

log = logging.getLogger(__name__)

_CAUSES = {
    OUT_OF_MEMORY: Cause.OUT_OF_MEMORY,
    PROCESS_LIMIT: Cause.PROCESS_LIMIT,
    DISK_LIMIT: Cause.DISK_LIMIT,
}
_MAX_THREADS = 4 << 20
"""The system has no more (PID_MAX_LIMIT), and takes no larger limit."""


class Confinement:
    """The limits of one kernel; without any it does nothing."""

    def __init__(
        self,
        kernel: KernelProcess,
        limits: KernelLimits,
        spool: Path,
        directory: Path | None,
    ) -> None:
        """Hold nothing yet; see `begin`.

        Args:
            kernel: the kernel.
            limits: what it may take.
            spool: names its held children.
            directory: where it works; None for the runner's own directory.
        """
        self._kernel = kernel
        self._limits = limits
        self._held_name = process_name(spool)
        self._directory = directory or Path.cwd()
        self._group: ControlGroup | None = None
        self._watch: LimitWatch | None = None
        self._stop = threading.Event()
        """Set when nobody waits for `begin` any more."""
        self._by: LimitedBy = "nothing"
        self._lock = threading.Lock()
        self._kept: dict[int, int] = {}
        """Bytes that each held child keeps, which count for the group."""
        self._allowed = 0

    async def begin(self) -> None:
        """Hold the kernel, which is up and has executed no cell, to its limits.

        Raises:
            Failed: it takes more already than it may.
        """
        if not self._limits.any:
            return
        beginning = asyncio.ensure_future(asyncio.to_thread(self._begin))
        try:
            await asyncio.shield(beginning)
        except asyncio.CancelledError:
            self._stop.set()
            with suppress(Failed):
                await beginning
            raise

    def held(self, held: Held) -> None:
        """Take a held child out of the kernel's group, before the next cell begins."""
        if self._group is None or held.pid is None:
            return
        try:
            self._group.release(held.pid)
        except OSError as error:
            log.warning("a held child could not be taken out of its kernel's control group: %s", error)
            return
        with self._lock:
            self._kept[held.pid] = held.bytes
        self._allow()

    def _allow(self) -> int:
        """Let the group have what held children keep beside the kernel's own memory; return how much that is.

        What a cell rewrites is there twice as long as a child keeps what was there before.
        """
        limit = self._limits.memory_bytes
        if self._group is None or limit is None:
            return 0
        with self._lock:
            self._kept = {pid: size for pid, size in self._kept.items() if process_tree.resident_bytes(pid)}
            wanted = sum(self._kept.values())
            if wanted != self._allowed:
                try:
                    self._group.limit_memory(limit + wanted)
                    self._allowed = wanted
                except OSError as error:  # the pages of a child that has just ended are still counted
                    log.debug("the memory limit of a control group is not changed yet: %s", error)
            return self._allowed

    def explained(self, failed: Failed) -> Failed:
        """Return why a session failed: by a limit, where the kernel was over one."""
        over = self._watch.exceeded() if self._watch is not None else None
        if over is None:
            return failed
        error = CellError(
            cell=failed.error.cell, name=over.name, value=over.message, traceback=failed.error.traceback
        )
        return Failed(error, failed.cause, ended_by=_CAUSES[over.name])

    def completed(self, cost: CellCost | None) -> CellCost | None:
        """Return what a cell took, with the peak that ended its kernel: the meter may have come too late."""
        over = self._watch.exceeded() if self._watch is not None else None
        if cost is None or over is None or over.name != OUT_OF_MEMORY or self._watch is None:
            return cost
        peak = max(cost.memory_bytes, self._watch.peaks.memory)
        return cost.model_copy(update={"memory_bytes": peak})

    def record(self) -> LimitRecord | None:
        """Return what the attempt's record says; None for a kernel without limits."""
        if not self._limits.any:
            return None
        peaks = self._watch.peaks if self._watch is not None else None
        return LimitRecord(
            limits=self._limits,
            by=self._by,
            peak_memory_bytes=peaks.memory if peaks is not None else None,
            peak_processes=peaks.processes if peaks is not None else None,
            peak_disk_bytes=peaks.disk if peaks is not None and self._limits.disk_bytes else None,
        )

    def _begin(self) -> None:
        pid = self._kernel.pid
        if pid is None or not process_tree.CAN_MEASURE:
            log.warning("the kernel %s cannot be measured: its limits do not hold", self._kernel.name)
            return
        self._by = "watchdog"
        self._check_room(pid)
        self._group = self._grouped(pid)
        self._by = self._group.version if self._group is not None else "watchdog"
        if self._limits.cpus is not None and not self._share_of_cpus(self._limits.cpus):
            _keep_to_processors(pid, self._limits.cpus)
        processes = KernelProcesses(pid, self._held_name, self._group)
        self._watch = LimitWatch(
            processes,
            self._limits,
            self._group,
            self._directory,
            stop=self._stop,
            shared_with_held=lambda: shared_with_held_children(self._held_name),
            allowed_beside=self._allow,
        )
        self._kernel.when_closed.append(lambda: self._end(processes))
        self._watch.start()

    def _end(self, processes: KernelProcesses) -> None:
        """Look no more, and leave nothing of the kernel's behind."""
        if self._watch is not None:
            self._watch.close()
        processes.end()
        processes.forget()
        if self._group is not None and not self._group.remove():
            log.warning("the control group of the kernel %s is still busy", self._kernel.name)

    def _check_room(self, pid: int) -> None:
        limit, found = self._limits.memory_bytes, process_tree.memory(pid)
        if limit is None or found is None or found.total <= limit:
            return
        value = (
            f"the kernel {self._kernel.name!r} takes {how_large(found.total)} before its first cell, and "
            f"may take {how_large(limit)} (memory_limit_bytes): no cell was executed; give it more"
        )
        error = CellError(cell=None, name=MEMORY_TOO_SMALL, value=value)
        raise Failed(error, RuntimeError(value), ended_by=Cause.OUT_OF_MEMORY)

    def _share_of_cpus(self, cpus: float) -> bool:
        """Have the group compute on so many processors; False where there is none, or where that is refused.

        Version 1 refuses more than the runner's own group has, which then holds for the kernel as well.
        """
        if self._group is None:
            return False
        try:
            self._group.limit_cpus(cpus)
        except OSError as error:
            log.warning(
                "the control group of the kernel %s cannot limit its cores, so it is bound to processors: %s",
                self._kernel.name,
                error,
            )
            return False
        return True

    def _grouped(self, pid: int) -> ControlGroup | None:
        """Put the kernel into a control group of its own; None where that cannot be done, whole."""
        limits = self._limits
        wanted: list[Controller] = []
        wanted += ["memory"] if limits.memory_bytes is not None else []
        wanted += ["pids"] if limits.processes is not None else []
        wanted += ["cpu"] if limits.cpus is not None else []
        others: list[Controller] = [one for one in wanted if one != "cpu"]
        group = make_group(str(pid), wanted) or make_group(str(pid), others)
        if group is None:
            return None
        try:
            group.add(pid)
            if limits.memory_bytes is not None:
                group.limit_memory(limits.memory_bytes)
            if limits.processes is not None:
                group.limit_processes(_threads_for(limits.processes))
        except OSError as error:
            log.warning("the kernel %s is not in a control group: %s", self._kernel.name, error)
            with suppress(OSError):
                group.release(pid)
            group.remove()
            return None
        return group


def _threads_for(processes: int) -> int:
    """Return how many threads a group allows that may have so many processes.

    A group counts threads, and a limit counts processes: what the group allows is the bound of what can
    happen between two looks of the watch. Libraries keep pools of a thread for each core of the machine, and
    a kernel that loads several of them has several.
    """
    cores = os.cpu_count() or 1
    return min(_MAX_THREADS, (4 + 2 * cores) * processes + 256 + 8 * cores)


def _keep_to_processors(pid: int, cpus: float) -> None:
    """Let a process and its threads compute on so many processors, rounded up; what it starts, too.

    They are chosen at random: kernels that are limited so would share the first ones while others rest.
    """
    there = sorted(os.sched_getaffinity(0))
    some = random.SystemRandom().sample(there, min(len(there), max(1, math.ceil(cpus))))
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  names alone
            with suppress(OSError):  # the thread ended
                os.sched_setaffinity(int(task), some)
