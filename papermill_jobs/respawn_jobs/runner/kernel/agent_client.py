"""What a runner says to the snapshot agent in its kernel: start, checkpoint, restore.

Each is a silent execute request, so it leaves no trace in the notebook's history, counters or variables. When
one fails or takes too long that is a `LinkError` with a reason to note; it never changes how the run goes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty
from typing import Any

from respawn_jobs.resume.unrestored import UnloadedVariable, read_report
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from respawn_kernels.counting import how_many
from respawn_kernels.exchange.messages import Held, HeldChildFiles, KernelFacts, Options
from respawn_kernels.exchange.versions import LEAVE, OWN_ARRAYS, PLACES, PROTOCOL, SETTLE

START_SECONDS = 60.0
HOLD_SECONDS = 60.0
CHECKPOINT_SECONDS = 600.0
RESTORE_SECONDS = 3600.0
_GRACE_SECONDS = 10.0
_AGENT = "__import__('respawn_kernels.agent', fromlist=['agent'])"


class LinkError(Exception):
    """The agent did not do what it was asked; the message is for people."""


class KernelLink:
    """The agent in one Python kernel, once it has started."""

    def __init__(self, kernel: KernelProcess, spool: Path) -> None:
        self._kernel = kernel
        self._spool = spool
        self._broken: str | None = None
        self._facts: KernelFacts | None = None

    @property
    def hash_seed(self) -> str | None:
        """The seed by which the kernel hashes texts, or `random`; None when it did not say."""
        return self._facts.hash_seed if self._facts is not None else None

    def _can(self, what: str) -> bool:
        """Return whether the agent can something: its environment may be older than this runner."""
        return self._facts is not None and what in self._facts.can

    @property
    def dead(self) -> bool:
        """Whether the kernel died, or its agent answers no more."""
        return self._broken is not None

    async def start(self, packages: Path, options: Options | None = None) -> None:
        """Load the agent into the kernel.

        Args:
            packages: Directory with links to the agent's packages, for kernels of environments without them.
            options: How it holds the state between cells.

        Raises:
            LinkError: it cannot run there, or is of a later generation than this runner.
        """
        from respawn_kernels.bootstrap import bootstrap_code

        await self.silently(bootstrap_code(packages), START_SECONDS)
        encoded = (options or Options()).to_json()
        call = f"start({str(self._spool)!r}, {os.getpid()}, {encoded!r})"
        await self.silently(f"{_AGENT}.{call}", START_SECONDS)
        self._facts = KernelFacts.read(self._spool)
        if self._facts is not None and self._facts.protocol > PROTOCOL:
            raise LinkError(
                f"the agent in the kernel's environment speaks protocol {self._facts.protocol}, "
                f"and this runner knows {PROTOCOL}: update the service"
            )

    async def hold(self, cell: int) -> Held:
        """Have a child hold the kernel's state; return it, or why there is none.

        Raises:
            LinkError: the kernel cannot even say so.
        """
        await self.silently(f"{_AGENT}.hold({cell})", HOLD_SECONDS)
        held = HeldChildFiles(self._spool, cell).read_held()
        if held is None:
            raise LinkError("the kernel did not say whether the state is held")
        return held

    async def checkpoint(self, cell: int) -> Path:
        """Write the kernel's variables to the spool; return the manifest's path.

        Raises:
            LinkError: nothing was written.
        """
        await self.silently(f"{_AGENT}.checkpoint({cell})", CHECKPOINT_SECONDS)
        return self._spool / "manifests" / f"{cell}.json"

    async def restore(
        self,
        directory: Path,
        cell: int,
        *,
        producers: Sequence[str] = (),
        again: bool = False,
        owned: bool = False,
    ) -> list[UnloadedVariable]:
        """Bring the variables of a checkpoint into the kernel; return those that would not load there.

        Args:
            directory: Where manifest and blobs were downloaded.
            cell: The cell whose boundary the checkpoint was taken at.
            producers: The sources of the cells that run next, to make what the checkpoint does not hold.
            again: Once more, after these cells ran.
            owned: Arrays get memory of their own, since a cell may make them larger in place.

        Raises:
            LinkError: the state could not be restored.
        """
        report = directory / "report.json"
        arguments = f"{str(directory)!r}, {cell}, {str(report)!r}"
        given = "" if again else f"{list(producers)!r}, "
        wanted = "owned=True" if owned and self._can(OWN_ARRAYS) else ""
        call = f"restore{'_again' if again else ''}({arguments}, {given}{wanted})"
        await self.silently(f"{_AGENT}.{call}", RESTORE_SECONDS)
        return read_report(report)

    async def forget(self, names: Sequence[str]) -> None:
        """Remove variables that cells are going to make anew.

        Raises:
            LinkError: they are still there.
        """
        await self.silently(f"{_AGENT}.forget({list(names)!r})", START_SECONDS)

    async def settle(self, bound: Mapping[str, int], ran: Sequence[int]) -> None:
        """Put variables that cells have made anew, or added, where a run from the top has them.

        Args:
            bound: By variable the first cell that binds it, where that was seen.
            ran: The cells that ran again.

        Raises:
            LinkError: they could not be, or the agent is too old to do it.
        """
        if not self._can(SETTLE):
            raise LinkError("the agent in the kernel's environment is older than that")
        given = f"{dict(bound)!r}, {list(ran)!r}" if self._can(PLACES) else ""
        await self.silently(f"{_AGENT}.settle({given})", START_SECONDS)

    async def leave(self) -> None:
        """Leave the session to a person, who goes on in it.

        Raises:
            LinkError: the agent was not started, or is too old to do it.
        """
        self._facts = self._facts or KernelFacts.read(self._spool)
        if not self._can(LEAVE):
            raise LinkError("there is no agent in the kernel that can leave it, or an older one")
        await self.silently(f"{_AGENT}.leave_session()", START_SECONDS)

    async def silently(self, code: str, seconds: float) -> None:
        """Execute code that leaves no trace, within a deadline.

        Raises:
            LinkError: it raised, the kernel died, or the deadline passed (the kernel is then interrupted).
        """
        if self._broken is not None:
            raise LinkError(self._broken)
        client = self._kernel.client
        request = client.execute(
            code, silent=True, store_history=False, allow_stdin=False, stop_on_error=False
        )
        self._kernel.silent.append(request)
        reply = await self._reply(request, seconds)
        if reply is None:
            await self._kernel.interrupt()
            if await self._reply(request, _GRACE_SECONDS) is None:
                self._broken = "the snapshot agent does not answer any more"
            raise LinkError(f"not done within {how_many(seconds, 'second')}")
        if reply["status"] != "ok":
            name, value = reply.get("ename", "error"), reply.get("evalue", "")
            raise LinkError(f"{name}: {value}" if value else str(name))

    async def _reply(self, request: str, seconds: float) -> dict[str, Any] | None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + seconds
        while (left := give_up - loop.time()) > 0:
            try:
                message = await self._kernel.client.shell_channel.get_msg(timeout=min(left, 1.0))
            except Empty:
                if not await self._kernel.alive():
                    self._broken = "the kernel died"
                    raise LinkError(self._broken) from None
                continue
            if message["parent_header"].get("msg_id") == request:
                return dict(message["content"])
        return None
