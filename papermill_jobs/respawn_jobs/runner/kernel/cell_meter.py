"""Measures each cell while it runs, in threads, and tells when it is blocked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from respawn_jobs.host import process_tree
from respawn_jobs.model.cell_cost import CellCost
from respawn_jobs.model.settings import BLOCKED_AFTER_SECONDS
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from respawn_jobs.runner.kernel.life_signs import LifeSigns
from respawn_jobs.runner.kernel.process_meter import ProcessMeter

T = TypeVar("T")

_FIRST_PACE, _LAST_PACE, _SLOWER = 0.5, 2.0, 30.0
"""Seconds between two looks: at first, at last, and after how long a cell each half second more."""
_LOOKS_IN_SILENCE = 4
_ANSWER_SECONDS = 5.0
"""How long /proc may take: it waits for a process that changes its memory just then."""


class CellMeter:
    """The meter of one kernel; without a process on this machine it measures nothing."""

    def __init__(
        self,
        kernel: KernelProcess,
        spool: Path,
        *,
        measured: bool = True,
        blocked_after: float = BLOCKED_AFTER_SECONDS,
        blocked_timeout: float | None = None,
    ) -> None:
        """Measure the cells of a kernel, whose process is looked for when the first one begins.

        Args:
            kernel: is measured, with all processes below it.
            spool: names the held children, which do not count.
            measured: whether anybody wants to know.
            blocked_after: after how many seconds without a sign of life a cell is blocked.
            blocked_timeout: after how many of them it is to be ended; None for never.
        """
        self._kernel = kernel
        self._spool = spool
        self._measured = measured and process_tree.CAN_MEASURE
        self._processes: ProcessMeter | None = None
        self._after = blocked_after
        self._timeout = blocked_timeout
        self._quiet = min(blocked_after, blocked_timeout or blocked_after) / _LOOKS_IN_SILENCE
        self._life = LifeSigns()
        self._watching: asyncio.Task[None] | None = None
        self.blocked_since: datetime | None = None
        """Since when the running cell gives no sign of life; None while it is not blocked."""
        self.timed_out = asyncio.Event()
        """Set when the running cell has been blocked for longer than it may."""
        self.silence = ""
        """What was seen of it until then, in words."""

    def put_out(self) -> None:
        """Note that the cell has put something out."""
        self._life.seen()
        self.blocked_since = None

    async def begin(self) -> None:
        """Begin to measure a cell, which is executed next."""
        self.timed_out.clear()
        self.blocked_since = None
        if self._processes is None and self._measured and self._kernel.pid is not None:
            self._processes = ProcessMeter(self._kernel.pid, self._spool)
        if self._processes is not None:
            used = await _answer(self._processes.begin)
            self._life = LifeSigns()
            if used is not None:
                self._life.look(used)
            self._watching = asyncio.ensure_future(self._watch(self._processes))

    async def end(self) -> CellCost | None:
        """Return what the cell took that began last."""
        if self._processes is None or self._watching is None:
            return None
        task, self._watching = self._watching, None
        task.cancel()
        return await _answer(self._processes.end) or self._processes.cost

    async def _watch(self, processes: ProcessMeter) -> None:
        began = time.monotonic()
        while True:
            pace = min(self._quiet, _LAST_PACE, _FIRST_PACE * (1 + (time.monotonic() - began) / _SLOWER))
            await asyncio.sleep(max(pace, processes.seconds_between))
            self._life.look(await asyncio.to_thread(processes.look))
            if self._life.silent_seconds > self._quiet:  # else other signs are enough
                traffic = await asyncio.to_thread(processes.traffic, self._kernel.ports)
                if not self._life.hear(traffic):
                    continue
            # Told here, not by the clock: what happened since the last look is seen by the next.
            silent = self._life.silent_seconds
            self.blocked_since = self._life.since if silent >= self._after else None
            if self._timeout is not None and silent >= self._timeout:
                self.silence = self._life.in_words()
                self.timed_out.set()
                return  # its interruption is no sign of life


async def _answer(call: Callable[[], T]) -> T | None:
    """Return what is read in a thread; None when that takes too long."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(call), _ANSWER_SECONDS)
    except TimeoutError:
        return None
