"""Keeps the state between cells: held while the next cell runs, stored when that fails or policy wants it.

After each cell that something can go on from, a child of the kernel holds the state. When the next cell
succeeds the child is ended; when it fails, however it fails, the child saves the state and the checkpoint is
stored. Where the kernel cannot be forked, policy alone decides when it is stored, in line.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

from respawn_jobs.errors import Fenced, RespawnError
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.notebook.document import TAG_NO_CHECKPOINT
from respawn_jobs.runner.cancellable_wait import CancellableWait, cancelled
from respawn_jobs.runner.cancellation import Stop, Stopper
from respawn_jobs.runner.checkpoint_policy import CheckpointMode, Policy
from respawn_jobs.runner.kernel.agent_client import KernelLink, LinkError
from respawn_jobs.runner.kernel.held_child import HeldChild, end_all
from respawn_kernels.exchange.messages import Held, HeldChildFiles, HoldReport, Options

log = logging.getLogger(__name__)

_TIME_LIMIT = {"lost": 5.0, "cancelled": 60.0}
"""How long saving may take once there is a reason to stop, in seconds; whoever stops us waits for so long."""
_GRACE_SECONDS = 30.0
_NEVER_SECONDS = 1e9


class Notes(Protocol):
    """What a keeper tells: the recorder."""

    async def commit(self, manifest_file: Path, spool: Path) -> Checkpoint:
        """Store a checkpoint and make it part of the run."""

    async def note(self, index: int, note: str) -> None:
        """Add to a cell what a person must know about it."""


class Keeper:
    """The states of one session, from boundary to boundary."""

    def __init__(
        self,
        notes: Notes,
        spool: Path,
        waits: CancellableWait,
        stopper: Stopper,
        *,
        share: float,
        options: Options,
        on_held: Callable[[Held], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            notes: where checkpoints and notes go.
            spool: where the kernel writes.
            waits: how to wait for the kernel and the service.
            stopper: why the run must stop, if it must.
            share: what checkpoints may cost of the run.
            options: how children are held.
            on_held: called with each child before the next cell may start.
            monotonic: the clock.
        """
        self._notes = notes
        self._spool = spool
        self._waits = waits
        self._stopper = stopper
        self._options = options
        self._on_held = on_held
        self._monotonic = monotonic
        self._policy = Policy(share, started=monotonic())
        self._link: KernelLink | None = None
        self._no_snapshots = "no snapshots"
        self._child: HeldChild | None = None
        self._leaving: list[HeldChild] = []
        self._taking: asyncio.Task[None] | None = None
        self._storing: dict[int, asyncio.Task[bool]] = {}
        self._expected: dict[int, float] = {}
        """By cell, what storing its state is expected to cost, while it is being stored."""
        self._background: set[asyncio.Task[bool]] = set()
        self._size: int | None = None
        self._noted_reasons: set[str] = set()
        self._boundary: int | None = None
        self._unkept: tuple[int, str] | None = None

    def use(self, link: KernelLink) -> None:
        """Keep the states of this kernel."""
        self._link = link

    def without(self, reason: str) -> None:
        """Keep nothing, for this reason."""
        self._no_snapshots = reason

    def passed(self, index: int, tags: list[str], seconds: float) -> None:
        """Begin to keep the state after a cell that succeeded and that others follow; see `ready`.

        Args:
            index: of the cell in the notebook.
            tags: the cell's; they may ask for a checkpoint, or for none.
            seconds: how long the cell ran.
        """
        mode = self._policy.mode_of(tags, seconds, self._monotonic(), self._size)
        if mode is not CheckpointMode.NEVER:  # else a resume goes back to the state before
            self._boundary, self._unkept = index, None
        self._taking = asyncio.ensure_future(self._take(index, mode))

    async def ready(self) -> None:
        """Return when the next cell may start.

        Raises:
            Stopped: there is a reason to stop.
            Fenced: the attempt is no longer ours.
        """
        if self._taking is not None:
            task, self._taking = self._taking, None
            await task

    def let_go(self) -> None:
        """End the child: the cell that ran meanwhile succeeded. One that is just saving goes on."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.ended:
            if child.cell not in self._storing:
                self._in_background(self._ended_early(child, child.report()))
        elif not child.asked:
            child.kill()
        self._leaving = [one for one in [*self._leaving, child] if not one.ended]

    def store_now(self) -> None:
        """Begin to store the state before the running cell, where it is held and not stored yet."""
        child = self._child
        if child is not None and not child.ended and child.cell not in self._storing:
            self._store_now(child)

    async def keep(self) -> None:
        """Store the state before the cell that failed, when it is held.

        Raises:
            Stopped, Fenced: the attempt is no longer ours.
        """
        if self._taking is not None:
            await cancelled(self._taking)
            self._taking = None
        held, self._child = [self._unnoticed(), self._child], None
        children = [child for child in held if child is not None]
        self._leaving += children
        for child in children:
            child.save()
        for child in children:
            storing = self._storing.get(child.cell) or self._in_background(self._store(child))
            await self._waits.delivered(_quietly(storing))
            if storing.result():
                return
        if self._unkept is not None:
            index, reason = self._unkept
            await self._note(index, f"the state after this cell was not kept: {reason}")

    async def close(self) -> None:
        """Leave no child behind, and let go of what is not stored yet."""
        for task in [*self._background, *([self._taking] if self._taking else [])]:
            await cancelled(task)
        for child in [*self._leaving, *([self._child] if self._child else [])]:
            child.kill()
            await child.wait(_GRACE_SECONDS)
        await asyncio.to_thread(end_all, self._spool)

    def _unnoticed(self) -> HeldChild | None:
        """Return the child that the kernel forked before it died or we were stopped, if not heard of."""
        if self._boundary is None or (self._child is not None and self._child.cell == self._boundary):
            return None
        place = HeldChildFiles(self._spool, self._boundary)
        held = place.read_held()
        if held is None or held.pid is None:
            return None
        try:
            child = HeldChild(place, held)
        except OSError:
            return None
        self._on_held(held)
        return child

    # Taking

    async def _take(self, index: int, mode: CheckpointMode) -> None:
        if mode is CheckpointMode.NEVER:
            await self._note(index, f"no checkpoint: tagged {TAG_NO_CHECKPOINT}")
        elif self._link is None:
            await self._note(index, self._no_snapshots)
        else:
            try:
                held = await self._waits.unless_stopped(self._link.hold(index), brief=True)
                await self._use(index, held, mode, self._link)
            except (LinkError, OSError) as error:
                if self._link.dead:  # the next cell will tell; a child may have the state all the same
                    self._unkept = (index, str(error))
                else:
                    await self._note(index, f"no checkpoint: {error}")

    async def _use(self, index: int, held: Held, mode: CheckpointMode, link: KernelLink) -> None:
        self._size = held.bytes
        if held.mode == "fork":
            child = HeldChild(HeldChildFiles(self._spool, index), held)
            self._on_held(held)
            self.let_go()
            self._child = child
            if mode is CheckpointMode.HOLD:
                self._in_background(self._store_later(child))
                return
            storing = self._store_now(child)
            if mode is CheckpointMode.WAIT:
                await self._waits.delivered(_quietly(storing), until_stopped=True)
            return
        self.let_go()
        if mode is CheckpointMode.HOLD:
            mode = self._policy.mode_of([], 0.0, self._monotonic(), self._size)
        if mode is not CheckpointMode.HOLD:
            await self._in_line(index, held.reason, link)
        elif held.reason and held.reason not in self._noted_reasons:
            self._noted_reasons.add(held.reason)
            await self._note(index, f"the state is not held: {held.reason}")
        else:
            self._unkept = (index, held.reason or "it is not held")

    async def _in_line(self, index: int, reason: str | None, link: KernelLink) -> None:
        """Have the kernel write the state itself, and wait for it."""
        started = self._monotonic()
        manifest = await self._waits.unless_stopped(link.checkpoint(index))
        self._policy.paid(self._monotonic() - started)
        if reason and reason not in self._noted_reasons:
            self._noted_reasons.add(reason)
            await self._note(index, f"checkpoint taken in line: {reason}")
        await self._waits.delivered(self._commit(index, manifest), until_stopped=True)

    # Storing

    def _in_background(self, work: Coroutine[Any, Any, bool]) -> asyncio.Task[bool]:
        task = asyncio.ensure_future(self._guarded(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, bool]) -> bool:
        """Do it; that the attempt was fenced meanwhile stops the session."""
        try:
            return await work
        except Fenced as error:
            self._stopper.request(Stop("lost", "RunnerLost", str(error), fenced=True))
            return False

    def _store_now(self, child: HeldChild) -> asyncio.Task[bool]:
        self._expected[child.cell] = self._policy.begun(self._size)
        child.save()
        task = self._storing[child.cell] = self._in_background(self._store(child))
        return task

    async def _store_later(self, child: HeldChild) -> bool:
        """Store the state while a long cell runs, once its share of the run allows it."""
        seconds = self._policy.seconds_to_wait(self._monotonic(), self._size)
        if seconds < _NEVER_SECONDS:
            await asyncio.sleep(seconds)
            if child is self._child and not child.ended:
                return await self._store_now(child)
        return False

    async def _store(self, child: HeldChild) -> bool:
        """Wait until a child has saved itself, and store the checkpoint; tells whether that was done."""
        report = await child.wait(self._time_limit())
        self._policy.paid(report.cpu_seconds, self._expected.pop(child.cell, 0.0))
        if report.state != "saved":
            await self._note(child.cell, f"no checkpoint: {report.reason or 'the state was let go'}")
            return False
        return await self._commit(child.cell, child.manifest)

    async def _ended_early(self, child: HeldChild, report: HoldReport) -> bool:
        """See to a child that did not live as long as its cell."""
        self._policy.paid(report.cpu_seconds)
        if report.state == "saved":
            return await self._commit(child.cell, child.manifest)
        if report.reason is not None:  # else the kernel dropped it, having forked the next
            await self._note(child.cell, f"the state was not held to the end: {report.reason}")
        return False

    async def _commit(self, index: int, manifest: Path) -> bool:
        try:
            await self._notes.commit(manifest, self._spool)
        except Fenced:
            raise
        except (OSError, RespawnError, ValueError) as error:
            await self._note(index, f"no checkpoint: {error}")
            return False
        return True

    def _time_limit(self) -> float:
        whole = self._options.save_seconds + _GRACE_SECONDS
        reason = self._stopper.reason
        return min(whole, _TIME_LIMIT.get(reason.state, whole)) if reason is not None else whole

    async def _note(self, index: int, note: str) -> None:
        await self._waits.delivered(self._notes.note(index, note))


async def _quietly(task: asyncio.Task[bool]) -> None:
    """Wait for a task without ending it when nobody waits any more."""
    await asyncio.shield(task)
