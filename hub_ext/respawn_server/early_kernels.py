"""Kernels of debug notebooks that are asked for before their notebook is there.

The page of a debug link asks for one while it loads in the browser. The kernel boots while the run is
fetched, its state downloaded and its notebook written; then the notebook's session takes it. Nothing is
executed in it before that. One that nobody takes is ended, and so is one that turns out not to be the one
that is wanted: the notebook's kernel is then started as if there had been none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from respawn_server.kernel import Kernels, Wanted

KEEP_SECONDS = 30.0
"""How long a kernel waits for its page to ask for the notebook."""
MAX_WAITING = 2
"""How many wait at a time: a page that opens many links must not fill the machine with kernels."""

Look = Callable[[], Awaitable[Wanted | None]]
"""Finds out which kernel it will be; None where none is to be started."""


class BootingKernel:
    """A kernel that boots for a notebook that is not there yet.

    Args:
        kernels: where it is started.
        look: which kernel it is to be.
        log: the server's log.
    """

    def __init__(self, kernels: Kernels, look: Look, log: logging.Logger) -> None:
        self._kernels = kernels
        self._log = log
        self._ours = True
        self._starting = asyncio.create_task(self._start(look))

    async def _start(self, look: Look) -> tuple[Wanted, str] | None:
        try:
            wanted = await look()
            if wanted is None or await self._kernels.of_notebook(wanted.path):
                return None
            return wanted, await self._kernels.start(wanted)
        except Exception as error:  # noqa: BLE001 - the opening meets it again, and tells the person
            self._log.info("respawn: no kernel is started early: %s", error)
            return None

    async def take(self, wanted: Wanted) -> str | None:
        """Hand the kernel over; it is the caller's then.

        Args:
            wanted: which kernel it must be.

        Returns:
            Its id; None where there is none, or where it is another one, which is ended.
        """
        found = await self._starting
        if self._ours and found is not None and found[0] == wanted and self._kernels.has(found[1]):
            self._ours = False
            return found[1]
        await self.close()
        return None

    async def close(self) -> None:
        """End the kernel, if nobody took it."""
        found = await self._starting
        if self._ours and found is not None:
            self._ours = False
            await self._kernels.end(found[1])


class BootingKernels:
    """The kernels of one server that wait for an opening.

    Args:
        kernels: where they are started.
        log: the server's log.
    """

    def __init__(self, kernels: Kernels, log: logging.Logger) -> None:
        self._kernels = kernels
        self._log = log
        self._waiting: dict[str, BootingKernel] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def ask(self, run: str, look: Look) -> None:
        """Start a run's kernel and return at once; nothing happens where it waits already, or too many do.

        Args:
            run: id of the run.
            look: which kernel it is to be.
        """
        if run in self._waiting or len(self._waiting) >= MAX_WAITING:
            return
        early = self._waiting[run] = self.start(look)
        asyncio.get_running_loop().call_later(KEEP_SECONDS, self._expire, run, early)

    def start(self, look: Look) -> BootingKernel:
        """Start a kernel, which is the caller's to take or to close.

        Args:
            look: which kernel it is to be.
        """
        return BootingKernel(self._kernels, look, self._log)

    def claim(self, run: str) -> BootingKernel | None:
        """Return the kernel that waits for a run, which is the caller's to take or to close.

        Args:
            run: id of the run.
        """
        return self._waiting.pop(run, None)

    def _expire(self, run: str, early: BootingKernel) -> None:
        if self._waiting.get(run) is early:
            del self._waiting[run]
            ending = asyncio.create_task(early.close())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
