"""One execution of a notebook in one kernel: from connecting to it to the last cell, or to what ended it.

What the notebook's author sees is papermill's doing: cells, outputs, errors and metadata come about in its
client. This adds what a run needs: cells that are reused, checkpoints between cells, and reasons to stop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from respawn_environments.warm.adoption import adopting
from respawn_jobs.api.runner_protocol import PLAN_CHANGED, Outcome, ResumeFrom, RunnerPort
from respawn_jobs.dataflow.prediction_check import in_words, surprises
from respawn_jobs.errors import Fenced, RespawnError
from respawn_jobs.host.workspace import Workspace
from respawn_jobs.model import evidence
from respawn_jobs.model.runs import CellError, CellState
from respawn_jobs.model.settings import Cause
from respawn_jobs.notebook.document import cell_tags
from respawn_jobs.runner.cancellable_wait import CancellableWait, Stopped, TookTooLong, cancelled
from respawn_jobs.runner.cancellation import Stop, Stopper
from respawn_jobs.runner.checkpoint_policy import DEFAULT_SHARE
from respawn_jobs.runner.checkpointer import Keeper
from respawn_jobs.runner.confinement import Confinement
from respawn_jobs.runner.kernel.agent_client import KernelLink, LinkError
from respawn_jobs.runner.kernel.cell_meter import CellMeter
from respawn_jobs.runner.kernel.kernel_process import KernelFailed, KernelProcess
from respawn_jobs.runner.kernel.notebook_client import Client
from respawn_jobs.runner.kernel.spool import prepare
from respawn_jobs.runner.recorder import Recorder
from respawn_jobs.runner.resumption import FailedAgain, RestoreFailed, Resumption, first_bound, node
from respawn_jobs.runner.session_end import (
    CleanExit,
    Failed,
    SessionEnd,
    SessionLimits,
    clean_exit,
    failure,
    shown_error,
    shows_error,
    stopped,
    too_long,
)
from respawn_kernels.exchange.messages import Options

if TYPE_CHECKING:
    from papermill.engines import NotebookExecutionManager

    from respawn_jobs.model.cell_cost import CellCost

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_OUTPUTS = 1.0
_TAG_NOT_EXECUTED = "skip-execution"


@dataclass
class Session:
    """Executes one notebook in one kernel."""

    port: RunnerPort
    nb_man: NotebookExecutionManager
    kernel: KernelProcess
    stopper: Stopper
    workspace: Workspace
    recorder: Recorder
    spool: Path
    confinement: Confinement
    limits: SessionLimits = field(default_factory=SessionLimits)
    resume: ResumeFrom | None = None
    share: float = DEFAULT_SHARE
    """What checkpoints may cost of the run."""
    options: Options = field(default_factory=Options)
    directory: str | None = None
    """Where the notebook lies, as its version says."""
    client_options: dict[str, Any] = field(default_factory=dict)
    measured: bool = True
    """Whether the service takes what cells cost."""
    start_recorded: bool = True
    """Whether it takes how the kernel was started."""
    _client: Client | None = None
    _link: KernelLink | None = None
    _cost: CellCost | None = None
    """Of the last cell."""
    _no_snapshots: str = "the kernel takes no snapshots"
    _current: int | None = None
    _hash_seed: str | None = None
    _shown: CellError | None = None
    """The first error that a cell showed and went on from."""

    def __post_init__(self) -> None:
        self._waits = CancellableWait(self.stopper, self.kernel)
        self._meter = CellMeter(
            self.kernel,
            self.spool,
            measured=self.measured,
            blocked_after=self.limits.blocked_after,
            blocked_timeout=self.limits.blocked,
        )
        self.keeper = Keeper(
            self.recorder, self.spool, self._waits, self.stopper,
            share=self.share, options=self.options, on_held=self.confinement.held,
        )  # fmt: skip

    async def run(self) -> SessionEnd:
        """Execute; every ending but a refusal of the service is returned, not raised."""
        with adopting():
            try:
                ending = await self._run()
                known = {
                    "hash_seed": self._hash_seed,
                    "limits": self.confinement.record(),
                    "kernel_start": self.kernel.kernel_start if self.start_recorded else None,
                }
                ending.outcome = ending.outcome.model_copy(update=known)
                return ending
            finally:
                await self.keeper.close()

    async def _run(self) -> SessionEnd:
        try:
            await self._waits.delivered(self.recorder.begin())
            await self._connect()
            await self._waits.delivered(self.confinement.begin(), until_stopped=True)
            first = await self._take_up()
            await self._rerun()
            await self._execute_from(first)
        except CleanExit:
            ending = self._completed()
        except Failed as failed_plainly:
            failed = self.confinement.explained(failed_plainly)
            state: Literal["timed_out", "failed"] = "timed_out" if failed.timed_out else "failed"
            outcome = Outcome(state=state, error=failed.error, cause=failed.ended_by)
            ending = SessionEnd(outcome, failed.cause)
        except Stopped:
            ending = stopped(self.stopper.reason, self._current, self.nb_man.nb.cells)
        else:
            ending = self._completed()
        if not self.stopper.fenced:
            with suppress(Stopped):  # fenced meanwhile
                if ending.outcome.state != "succeeded" and ending.outcome.error != self._shown:
                    await self.keeper.keep()
                await self._waits.delivered(self._drained())
                await self._waits.delivered(self.recorder.skip_rest())
        if self._client is not None:
            self._client.set_widgets_metadata()
        return ending

    async def _drained(self) -> None:
        """Record what threads of the notebook have put out since the last cell."""
        if self._client is not None:
            await self._client.drain()
            await self.recorder.flush(live=False)

    def _completed(self) -> SessionEnd:
        """Return how a notebook ended that was executed to its end: a cell may have shown an error."""
        if self._shown is not None:
            return SessionEnd(Outcome(state="failed", error=self._shown, cause=Cause.CELL_ERROR))
        return SessionEnd(Outcome(state="succeeded"))

    # Before the first cell

    async def _connect(self) -> None:
        """Wait for the kernel, and start the snapshot agent in it when it is IPython's."""
        try:
            info = await self._waits.unless_stopped(self.kernel.connect(self.limits.start))
        except KernelFailed as error:
            raise Failed(
                CellError(cell=None, name="KernelStart", value=str(error), traceback=self.kernel.log_tail()),
                RuntimeError(str(error)),
            ) from error
        self.nb_man.nb.metadata["language_info"] = node(info["language_info"])
        self._client = Client(self.nb_man, self.kernel, self._changed, **self.client_options)
        self._client.reset_execution_trackers()
        if info.get("implementation") != "ipython":
            self._without_snapshots(f"the kernel {self.kernel.name!r} is not an IPython kernel")
            return
        link = KernelLink(self.kernel, self.spool)
        try:
            from respawn_kernels.bootstrap import link_packages

            prepare(self.spool)
            packages = link_packages(self.workspace.directory("packages"))
            await self._waits.unless_stopped(link.start(packages, self.options))
        except (LinkError, OSError) as error:
            self._without_snapshots(str(error))
        else:
            self._link = link
            self.keeper.use(link)
            self._hash_seed = link.hash_seed

    def _changed(self, index: int) -> None:
        """Hear that the outputs of a cell may differ."""
        self.recorder.changed(index)
        self._meter.put_out()

    def _without_snapshots(self, why: str) -> None:
        self._no_snapshots = f"no snapshots: {why}"
        self.keeper.without(self._no_snapshots)

    async def _take_up(self) -> int:
        """Bring back the state that a resumed run starts from; return the first cell that executes."""
        if self.resume is None:
            return 0
        resumption = Resumption(
            self.resume, self.port, self.nb_man, self.workspace, self.recorder,
            self._waits, self._link, self._no_snapshots, self._execute_apart,
        )  # fmt: skip
        try:
            first, known = await resumption.run(), await resumption.front_end()
        except RestoreFailed as error:
            raise Failed(CellError(cell=None, name="RestoreFailed", value=str(error))) from error
        except FailedAgain as failed:
            raise failure(
                self.nb_man.nb.cells, failed.index, failed.error, self.kernel, self.limits
            ) from failed.error
        else:
            if known is not None and self._client is not None:
                self._client.take_over(known, [reused.index for reused in self.resume.reused])
            return first
        finally:
            if self.stopper.reason is None:
                self._current = None

    async def _execute_apart(self, cell: NotebookNode, index: int) -> None:
        assert self._client is not None  # noqa: S101  set when connected
        self._current = index
        await self._within_limit(self._client.async_execute_cell(cell, index, store_history=False), cell)

    # The cells

    async def _rerun(self) -> None:
        """Execute the cells above the restored state that run again, then hold what has become of it.

        Between them nothing is kept: what is there then is the state after no cell. A state that lost what is
        made anew below is held too, for it is stored nowhere.
        """
        if self.resume is None or not (self.resume.rerun or self.resume.stale):
            return
        started = time.monotonic()
        waiting, done = list(self.resume.rerun), list[int]()
        while waiting:
            index = self._current = waiting.pop(0)
            if self.stopper.reason is not None:
                raise Stopped
            await self._execute(index, self.nb_man.nb.cells[index], followed=False)
            done.append(index)
            waiting = await self._verified(index, done, waiting)
        if self._link is not None:
            seen = {index: self.recorder.events[index].evidence for index in done}
            try:
                await self._waits.unless_stopped(self._link.settle(first_bound(self.resume, seen), done))
            except LinkError as error:
                note = f"global names are in another order than from the top: {error}"
                await self._waits.delivered(self.recorder.note(self.resume.first, note))
        above = enumerate(self.nb_man.nb.cells[: self.resume.first])
        boundary = max((index for index, cell in above if cell.cell_type == "code"), default=None)
        if boundary is not None:
            self._pass(boundary, [], time.monotonic() - started)

    def _pass(self, index: int, tags: list[str], seconds: float) -> None:
        """Begin to keep the state after a cell, with what is known of displays and widgets there."""
        assert self._client is not None  # noqa: S101  set when connected
        self.recorder.know(index, self._client.front_end())
        self.keeper.passed(index, tags, seconds)

    async def _verified(self, index: int, done: list[int], waiting: list[int]) -> list[int]:
        """Compare what a cell that ran again did with what was planned; return the cells still to run.

        Raises `Failed` when what is to be reused may be stale and cannot be made anew in this kernel.
        """
        assert self.resume is not None  # noqa: S101  cells run again in resumes only
        footprints = {one.index: one.footprint for one in self.resume.predictions}
        seen = self.recorder.events[index].evidence
        found = surprises(footprints[index], seen, self.directory) if index in footprints else []
        if not found:
            return waiting
        surprise = f"cell {index} did otherwise than planned: it {in_words(found)}"
        answer = await self._waits.delivered(
            asyncio.to_thread(self.port.reconsider, done), until_stopped=True
        )
        if answer.stop is not None:
            error = CellError(cell=index, name=PLAN_CHANGED, value=f"{surprise}; {answer.stop}")
            raise Failed(error, RuntimeError(error.value))
        more = [one for one in answer.rerun if one not in waiting]
        if not more:
            return waiting
        log.info("%s; cells %s run again as well", surprise, more)
        if answer.forget and self._link is not None:
            await self._waits.unless_stopped(self._link.forget(answer.forget))
        for one in more:
            await self._waits.delivered(self.recorder.note(one, f"runs again, for {surprise}"))
        waiting = sorted({*waiting, *answer.rerun})
        update = {"rerun": sorted({*done, *waiting}), "predictions": answer.predictions}
        self.resume = self.resume.model_copy(update=update)
        return waiting

    async def _execute_from(self, first: int) -> None:
        cells = self.nb_man.nb.cells
        filled = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and cell.source.strip()]
        last = max(filled, default=-1)
        for index, cell in enumerate(cells):
            if index < first:
                if self.resume is None or index not in self.resume.rerun:
                    self.nb_man.cell_complete(cell, cell_index=index)
                continue
            if cell.cell_type != "code":
                self.nb_man.cell_start(cell, index)
                self.nb_man.cell_complete(cell, cell_index=index)
                continue
            self._current = index
            await self.keeper.ready()
            if self.stopper.reason is not None:
                raise Stopped
            # Nothing can go on from the end of a notebook; an empty cell leaves the state as it was.
            followed = index < last and bool(cell.source.strip())
            await self._execute(index, cell, followed=followed)
        await self.keeper.ready()

    async def _execute(self, index: int, cell: NotebookNode, *, followed: bool) -> None:
        assert self._client is not None  # noqa: S101  set when connected
        self.nb_man.cell_start(cell, index)
        await self._waits.delivered(self.recorder.start(index))
        started = time.monotonic()
        ticker = asyncio.ensure_future(self._send_news(index))
        try:
            try:
                await self._within_limit(self._client.async_execute_cell(cell, index), cell)
            finally:
                await cancelled(ticker)
        except (CellExecutionError, DeadKernelError, CellTimeoutError, Stopped) as error:
            self.nb_man.cell_exception(cell, cell_index=index, exception=error)
            if isinstance(error, CellExecutionError | DeadKernelError) and clean_exit(cell):
                self.keeper.let_go()
                await self._ended(index, cell, CellState.EXECUTED)
                raise CleanExit from error
            if not self.stopper.fenced:
                await self._ended(index, cell, CellState.FAILED)
            if isinstance(error, Stopped):
                raise
            raise failure(self.nb_man.nb.cells, index, error, self.kernel, self.limits) from error
        finally:
            self.nb_man.cell_complete(cell, cell_index=index)
        state = CellState.EXECUTED
        if shows_error(cell):
            # As `%run` of a script that fails does. papermill executes the rest, and then the run failed.
            state = CellState.FAILED
            self._shown = self._shown or shown_error(self.nb_man.nb.cells[index], index)
            await self.keeper.keep()
        if followed:
            # The kernel forks during the call to the service; `ready` waits for both.
            self._pass(index, cell_tags(cell), time.monotonic() - started)
        skipped = _TAG_NOT_EXECUTED in cell_tags(cell) and cell.execution_count is None
        note = f"not executed: tagged {_TAG_NOT_EXECUTED}" if skipped else None
        await self._ended(index, cell, state, note)

    async def _ended(self, index: int, cell: NotebookNode, state: CellState, note: str | None = None) -> None:
        """Record the end of a cell, with what the kernel saw of it and what it cost."""
        seen = evidence.take(self.spool, cell.get("execution_count"))
        await self._waits.delivered(self.recorder.end(index, state, note, seen, self._cost))

    async def _within_limit(self, work: Awaitable[Any], cell: NotebookNode) -> None:
        """Await what a cell does, and measure it.

        Raises `CellTimeoutError`, as nbclient does, when it takes too long or is blocked for too long.
        """
        await self._meter.begin()
        try:
            await self._waits.unless_stopped(work, limit=self.limits.cell, enough=self._meter.timed_out)
        except TookTooLong as error:
            raise too_long(cell, self.limits, self._meter) from error
        finally:
            self._cost = self.confinement.completed(await self._meter.end())

    async def _send_news(self, index: int) -> None:
        """Send what a running cell puts out, and whether it is blocked."""
        away = False
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_OUTPUTS)
            try:
                await self.recorder.flush()
                await self.recorder.blocked(index, self._meter.blocked_since)
                away = False
            except Fenced as error:
                self.stopper.request(Stop("lost", "RunnerLost", str(error), fenced=True))
                return
            except (RespawnError, OSError) as error:
                if not away:
                    log.warning("outputs could not be sent and will be sent later: %s", error)
                away = True
