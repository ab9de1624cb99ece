"""Waiting while a run may be stopped: for what happens in the kernel, and for calls to the service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

from respawn_jobs.runner.cancellation import Stopper
from respawn_jobs.runner.kernel.kernel_process import KernelProcess

T = TypeVar("T")

_INTERRUPT_GRACE_SECONDS = {"lost": 1.0}
"""How long the kernel may take to end what was interrupted, by what the attempt ends as: whoever tells a
runner to end waits a few seconds for all of it."""
_USUAL_GRACE_SECONDS = 5.0
_KILL_SECONDS = 5.0
_LOOK_SECONDS = 0.5


class Stopped(Exception):
    """A reason to stop came while something was going on in the kernel."""


class TookTooLong(Exception):
    """What went on in the kernel was stopped because it took longer than it may."""


class CancellableWait:
    """The two ways in which a session waits."""

    def __init__(self, stopper: Stopper, kernel: KernelProcess) -> None:
        self._stopper = stopper
        self._kernel = kernel

    async def delivered(self, telling: Awaitable[T], *, until_stopped: bool = False) -> T:
        """Await what passes between us and the service, while nothing goes on in the kernel.

        Raises `Stopped` as soon as the attempt is fenced, or with `until_stopped` for any reason to stop.
        """
        task = asyncio.ensure_future(telling)
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=_LOOK_SECONDS)
                if done:
                    return task.result()
                if self._stopper.fenced or (until_stopped and self._stopper.reason is not None):
                    raise Stopped
        finally:
            await cancelled(task)

    async def unless_stopped(
        self,
        work: Awaitable[T],
        *,
        limit: float | None = None,
        enough: asyncio.Event | None = None,
        brief: bool = False,
    ) -> T:
        """Await `work` in the kernel; on a reason to stop interrupt it, then kill it.

        Args:
            work: what goes on in the kernel.
            limit: Seconds it may take; None for no limit.
            enough: Set when it has taken too long for another reason.
            brief: It takes a moment only, so it may come to its end before it is interrupted, and counts.

        Raises:
            Stopped: there was a reason to stop.
            TookTooLong: it took longer than `limit`, or `enough` was set, and it was stopped for that.
        """
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stopper.wait())
        ends = [stop] if enough is None else [stop, asyncio.ensure_future(_is_set(enough))]
        try:
            await asyncio.wait({task, *ends}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and not stop.done():
                return task.result()
            reason = self._stopper.reason
            if brief and reason is not None and not reason.fenced:
                await asyncio.wait({task}, timeout=_grace(reason.state))
                if task.done():
                    return task.result()
            await self._end(task, reason.state if reason is not None else "timed_out")
            raise TookTooLong if reason is None else Stopped
        finally:
            for future in (task, *ends):
                await cancelled(future)

    async def _end(self, task: asyncio.Future[Any], state: str) -> None:
        """Interrupt what goes on in the kernel; kill the kernel when that does not help."""
        if not task.done() and not self._stopper.fenced:
            await self._kernel.interrupt()
            await asyncio.wait({task}, timeout=_grace(state))
        if not task.done():
            self._kernel.kill()
            await asyncio.wait({task}, timeout=_KILL_SECONDS)


async def _is_set(event: asyncio.Event) -> None:
    await event.wait()


def _grace(state: str) -> float:
    return _INTERRUPT_GRACE_SECONDS.get(state, _USUAL_GRACE_SECONDS)


async def cancelled(future: asyncio.Future[Any]) -> None:
    """Cancel what is of no more interest, and wait until it is over."""
    if future.done() and not future.cancelled():
        future.exception()  # reported already
        return
    future.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await future
