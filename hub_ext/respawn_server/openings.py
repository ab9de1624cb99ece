"""The openings of debug notebooks on one Jupyter server: one per run at a time, and who watches it.

Any number of pages may watch an opening; it goes on when they are closed, and a page that comes late hears
the earlier steps too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from respawn_jobs.errors import NotFound, RespawnError
from respawn_jobs.model.runs import Run
from respawn_server.connection import HubConnection
from respawn_server.early_kernels import BootingKernels
from respawn_server.kernel import Kernels, Wanted
from respawn_server.living_kernels import LivingKernels
from respawn_server.notebooks import Notebooks
from respawn_server.opening_steps import Message, Opening, seed_of

ENDED_SECONDS = 60.0
"""How long an opening that has ended can still be followed: JupyterLab may take that long to load."""


class Openings:
    """The openings of one Jupyter server.

    Args:
        connection: The way to the service.
        notebooks: Where the debug notebook is written.
        kernels: Where its kernel is started.
        living: The kernels in which runs have failed, where they live on.
        log: The server's log.
    """

    def __init__(
        self,
        connection: HubConnection,
        notebooks: Notebooks,
        kernels: Kernels,
        living: LivingKernels,
        log: logging.Logger,
    ) -> None:
        self._connection = connection
        self._notebooks = notebooks
        self._kernels = kernels
        self._living = living
        self._log = log
        self._early = BootingKernels(kernels, log)
        self._running: dict[str, Opening] = {}
        self._ended: dict[str, Opening] = {}

    def foresee(self, run: str, *, restored: bool = False) -> None:
        """Start the kernel of a run's debug notebook for an opening that is about to be asked for.

        Nothing is executed in it, and nothing written but an empty directory. Where the person is to be asked
        first, as the run is not all their own, no kernel is started. One that no opening takes is ended.

        Args:
            run: id of the run.
            restored: whether the state before the failing cell is wanted in any case.
        """
        if not restored and self._living.find(run) is not None:
            return
        if run not in self._running:
            self._early.ask(run, lambda: self._expected(run))

    async def _expected(self, run: str) -> Wanted | None:
        """Return the kernel that the opening of a run will want; None where it will ask or fail first."""
        service = self._connection.service()
        detail, visitor = await asyncio.gather(
            asyncio.to_thread(service.show, run), asyncio.to_thread(service.whoami)
        )
        if not detail.run.state.resumable or not _is_own(detail.run, visitor):
            return None
        name, _ = await self._kernels.build(detail.run.kernel, detail.run.lock)
        own = any(attempt.directory is not None for attempt in detail.attempts)
        return Wanted(await self._notebooks.prepare_place(detail.run, own=own), name, seed_of(detail))

    async def watch(
        self, run: str, *, confirmed: bool = False, restored: bool = False
    ) -> AsyncIterator[Message]:
        """Start opening a run's failure, or join the opening that goes on; yield its messages to the last.

        Restoring a checkpoint runs code of whoever made it. Unless the run is the person's own, that needs
        their consent: without `confirmed` the last message asks for it, and nothing was downloaded or run.

        Args:
            run: id of the run.
            confirmed: whether the person agreed.
            restored: whether the state before the failing cell is wanted, also where the kernel lives on.
        """
        opening = self._running.get(run)
        if opening is None:
            parts = (self._connection, self._notebooks, self._kernels, self._early, self._living)
            opening = self._running[run] = Opening(run, *parts)
            opening.restored = restored
            self._ended.pop(run, None)
            opening.confirmed = confirmed
            opening.task = asyncio.create_task(self._see_through(opening))
        opening.confirmed = opening.confirmed or confirmed
        async for message in opening.messages():
            yield message

    def follow(self, run: str) -> AsyncIterator[Message]:
        """Return the messages of the opening that goes on, or has ended lately, to the last; begin none.

        Args:
            run: id of the run.

        Raises:
            NotFound: There is none.
        """
        opening = self._running.get(run) or self._ended.get(run)
        if opening is None:
            raise NotFound(f"{run} is not being opened on this Jupyter server")
        return opening.messages()

    async def _see_through(self, opening: Opening) -> None:
        try:
            bundle = await opening.fetch()
            question = opening.question(bundle)
            if question is not None:
                opening.send(question)
                return
            path = await opening.steps(bundle)
            if opening.problem is None:
                opening.send({"type": "open", "path": path})
            else:
                opening.send({"type": "failed", "error": "restore", "message": opening.problem, "path": path})
        except RespawnError as error:
            self._log.warning("respawn: opening %s: %s", opening.run, error.message)
            opening.send({"type": "failed", "error": error.code, "message": error.message, "path": None})
        except Exception as error:  # noqa: BLE001 - the page waits for an answer, whatever broke
            self._log.exception("respawn: opening %s failed", opening.run)
            text = f"{type(error).__name__}: {error}. The log of this Jupyter server says more."
            opening.send({"type": "failed", "error": "error", "message": text, "path": None})
        finally:
            self._ended[opening.run] = self._running.pop(opening.run)
            asyncio.get_running_loop().call_later(ENDED_SECONDS, self._forget, opening)
            await opening.close()

    def _forget(self, opening: Opening) -> None:
        if self._ended.get(opening.run) is opening:
            del self._ended[opening.run]


def _is_own(run: Run, visitor: str) -> bool:
    """Return whether a run is the visitor's own, so far as it tells: its version may be somebody else's."""
    theirs = run.job.startswith(f"user/{visitor}/") and run.imported is None
    return theirs and {run.created_by, *run.authors} == {visitor}
