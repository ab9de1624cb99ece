"""The kernels of failed runs that live on beside a job server: for how long, and in how much memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from respawn_jobs.api.job_server_protocol import KeptKernelReport
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.host import process_tree
from respawn_jobs.model.kernels import KeptKernel
from respawn_kernels.sizes import how_large

log = logging.getLogger(__name__)

of_this_process: KeptKernels | None = None
"""Those of this job server; None in a Jupyter server that is none."""


@dataclass
class _Kept:
    kernel: KeptKernel
    since: datetime
    used: datetime


class KeptKernels:
    """The kernels that the runners of a job server keep.

    Each ends a time after it was used last. Together they have a budget of memory; where it is too small, the
    kernels of the newest failures stay.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock = utc_now,
        last_used: Callable[[Path], datetime | None] | None = None,
        memory: Callable[[int], int] | None = None,
    ) -> None:
        """Know of none yet.

        Args:
            directory: where the connection files are.
            clock: the present moment.
            last_used: when the kernel of a connection file was last used in this server, if it was.
            memory: how many bytes a process and those below it have.
        """
        self.directory = directory
        self.budget = 0
        """Bytes that they may have together."""
        self._clock = clock
        self._last_used = last_used or _activity
        self._memory = memory or _bytes
        self._kept: dict[str, _Kept] = {}

    def find(self, run: str) -> KeptKernel | None:
        """Return the kernel of a run that lives here; None where there is none."""
        found = [kept.kernel for kept in self._kept.values() if kept.kernel.run == run]
        return found[-1] if found and Path(found[-1].connection_file).exists() else None

    def until(self, run: str) -> datetime | None:
        """Return when the kernel of a run ends unless it is used; None where there is none."""
        return next((_end(kept) for kept in self._kept.values() if kept.kernel.run == run), None)

    def tend(self, kernels: Sequence[KeptKernel], release: Callable[[str], None]) -> list[KeptKernelReport]:
        """Let go what is over its time or the budget, and return what lives on.

        Args:
            kernels: those that runners keep.
            release: lets the kernel of an attempt go.
        """
        now = self._clock()
        there = {kernel.attempt: kernel for kernel in kernels}
        self._kept = {attempt: kept for attempt, kept in self._kept.items() if attempt in there}
        for attempt, kernel in there.items():
            kept = self._kept.setdefault(attempt, _Kept(kernel, now, now))
            kept.used = max(kept.used, self._last_used(Path(kernel.connection_file)) or kept.used)
        going = [attempt for attempt, kept in self._kept.items() if _end(kept) <= now]
        for attempt in (*going, *self._over_budget(going)):
            log.info("respawn: the kernel of %s is kept no longer", self._kept[attempt].kernel.run)
            del self._kept[attempt]
            release(attempt)
        return [KeptKernelReport(run=one.kernel.run, until=_end(one)) for one in self._kept.values()]

    def _over_budget(self, going: Sequence[str]) -> list[str]:
        """Return the attempts whose kernels have no room; the newest failures come first."""
        left, over = self.budget, []
        staying = [kept for attempt, kept in self._kept.items() if attempt not in going]
        for kept in sorted(staying, key=lambda one: one.since, reverse=True):
            size = self._memory(kept.kernel.pid)
            left -= size
            if left < 0:
                log.info("respawn: no room for the kernel of %s: %s", kept.kernel.run, how_large(size))
                over.append(kept.kernel.attempt)
                left += size
        return over


def _end(kept: _Kept) -> datetime:
    return kept.used + timedelta(seconds=kept.kernel.seconds)


def _bytes(pid: int) -> int:
    found = process_tree.memory(pid) if pid and process_tree.CAN_MEASURE else None
    return found.total if found is not None else 0


def _activity(connection_file: Path) -> datetime | None:
    """Return when the kernel of a connection file was last used through this process's Jupyter server."""
    from jupyter_server.serverapp import ServerApp

    if not ServerApp.initialized():
        return None
    kernels: Any = getattr(ServerApp.instance(), "kernel_manager", None)
    files: dict[str, Path] = dict(getattr(kernels, "kernel_id_to_connection_file", {}))
    kernel_id = next((one for one, file in files.items() if file == connection_file), None)
    if kernel_id is None or kernel_id not in kernels:
        return None
    used = getattr(kernels.get_kernel(kernel_id), "last_activity", None)
    return used.astimezone(UTC) if isinstance(used, datetime) else None
