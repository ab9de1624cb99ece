"""Waiting while a run may be stopped: for what goes on in the kernel, and for what is told to the service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

from respawn_jobs.kernel import Kernel
from respawn_jobs.stopping import Stopper

T = TypeVar("T")

_INTERRUPT_GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.5


class Stopped(Exception):
    """A reason to stop came while something was going on in the kernel."""


class Waits:
    """The two ways in which a session waits."""

    def __init__(self, stopper: Stopper, kernel: Kernel) -> None:
        self._stopper = stopper
        self._kernel = kernel

    async def told(self, telling: Awaitable[T], *, until_stopped: bool = False) -> T:
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

    async def unless_stopped(self, work: Awaitable[T]) -> T:
        """Await `work` in the kernel; on a reason to stop interrupt it, then kill it; raise `Stopped`."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stopper.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not stop.done():
                return task.result()
            if not task.done() and not self._stopper.fenced:
                await self._kernel.interrupt()
                await asyncio.wait({task}, timeout=_INTERRUPT_GRACE_SECONDS)
            if not task.done():
                self._kernel.kill()
                await asyncio.wait({task}, timeout=_INTERRUPT_GRACE_SECONDS)
            raise Stopped
        finally:
            await cancelled(task)
            await cancelled(stop)


async def cancelled(future: asyncio.Future[Any]) -> None:
    """Cancel what is of no more interest, and wait until it is over."""
    if future.done() and not future.cancelled():
        future.exception()  # told already
        return
    future.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await future
