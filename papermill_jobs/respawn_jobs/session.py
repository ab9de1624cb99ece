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
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from respawn_jobs import evidence
from respawn_jobs.client import Client
from respawn_jobs.errors import Fenced, RespawnError
from respawn_jobs.held import adopting
from respawn_jobs.keeping import Keeper
from respawn_jobs.kernel import Kernel, KernelFailed
from respawn_jobs.kernel_link import KernelLink, LinkError
from respawn_jobs.models import CellError, CellState
from respawn_jobs.notebooks import TAG_RAISES, cell_tags
from respawn_jobs.policy import DEFAULT_SHARE
from respawn_jobs.protocol import PLAN_CHANGED, Outcome, ResumeFrom, RunnerPort
from respawn_jobs.recorder import Recorder
from respawn_jobs.spool import prepare
from respawn_jobs.stopping import Stop, Stopper
from respawn_jobs.taking_up import FailedAgain, NotRestored, TakingUp, node
from respawn_jobs.verifying import in_words, surprises
from respawn_jobs.waits import Stopped, TookTooLong, Waits, cancelled
from respawn_jobs.workspace import Workspace
from respawn_kernels.held import Options

if TYPE_CHECKING:
    from papermill.engines import NotebookExecutionManager

    from respawn_kernels.evidence import CellEvidence

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_OUTPUTS = 1.0
_TAG_NOT_EXECUTED = "skip-execution"


class Failed(Exception):
    """A cell ended the run, or the kernel did; holds what is told about it."""

    def __init__(
        self, error: CellError, cause: BaseException | None = None, *, timed_out: bool = False
    ) -> None:
        super().__init__(f"{error.name}: {error.value}")
        self.error = error
        self.cause = cause
        self.timed_out = timed_out


class CleanExit(Exception):
    """A cell called `sys.exit()` with success: the notebook ends here, as papermill has it."""


@dataclass
class Limits:
    """How long things may take, in seconds; None for no limit."""

    start: float = 60.0
    cell: float | None = None


@dataclass
class Ending:
    """How a session ended; `exception` is what nbclient raised, where papermill would let it through."""

    outcome: Outcome
    exception: BaseException | None = None


@dataclass
class Session:
    """Executes one notebook in one kernel."""

    port: RunnerPort
    nb_man: NotebookExecutionManager
    kernel: Kernel
    stopper: Stopper
    workspace: Workspace
    recorder: Recorder
    spool: Path
    limits: Limits = field(default_factory=Limits)
    resume: ResumeFrom | None = None
    share: float = DEFAULT_SHARE
    """What checkpoints may cost of the run."""
    options: Options = field(default_factory=Options)
    directory: str | None = None
    """Where the notebook lies, as its version says."""
    client_options: dict[str, Any] = field(default_factory=dict)
    _client: Client | None = None
    _link: KernelLink | None = None
    _no_snapshots: str = "the kernel takes no snapshots"
    _current: int | None = None
    _hash_seed: str | None = None
    _shown: CellError | None = None
    """The first error that a cell showed and went on from."""

    def __post_init__(self) -> None:
        self._waits = Waits(self.stopper, self.kernel)
        self._keeper = Keeper(
            self.recorder, self.spool, self._waits, self.stopper, share=self.share, options=self.options
        )

    async def run(self) -> Ending:
        """Execute; every ending but a refusal of the service is returned, not raised."""
        with adopting():
            try:
                ending = await self._run()
                ending.outcome = ending.outcome.model_copy(update={"hash_seed": self._hash_seed})
                return ending
            finally:
                await self._keeper.close()

    async def _run(self) -> Ending:
        try:
            await self._waits.told(self.recorder.begin())
            await self._connect()
            first = await self._take_up()
            await self._rerun()
            await self._execute_from(first)
        except CleanExit:
            ending = self._completed()
        except Failed as failed:
            outcome = Outcome(state="timed_out" if failed.timed_out else "failed", error=failed.error)
            ending = Ending(outcome, failed.cause)
        except Stopped:
            ending = self._stopped(self.stopper.reason)
        else:
            ending = self._completed()
        if not self.stopper.fenced:
            with suppress(Stopped):  # fenced meanwhile
                if ending.outcome.state != "succeeded" and ending.outcome.error != self._shown:
                    await self._keeper.keep()
                await self._waits.told(self._drained())
                await self._waits.told(self.recorder.skip_rest())
        if self._client is not None:
            self._client.set_widgets_metadata()
        return ending

    async def _drained(self) -> None:
        """Record what threads of the notebook have put out since the last cell."""
        if self._client is not None:
            await self._client.drain()
            await self.recorder.flush(live=False)

    def _completed(self) -> Ending:
        """Return how a notebook ended that was executed to its end: a cell may have shown an error."""
        if self._shown is not None:
            return Ending(Outcome(state="failed", error=self._shown))
        return Ending(Outcome(state="succeeded"))

    def _stopped(self, reason: Stop | None) -> Ending:
        assert reason is not None  # noqa: S101  Stopped is only raised when there is one
        error = CellError(
            cell=self._current, name=reason.name, value=reason.value, traceback=self._traceback(self._current)
        )
        return Ending(Outcome(state=reason.state, error=error))

    # Before the first cell

    async def _connect(self) -> None:
        """Wait for the kernel, and start the snapshot agent in it when it is IPython's."""
        try:
            info = await self._waits.unless_stopped(self.kernel.connect(self.limits.start))
        except KernelFailed as error:
            raise Failed(
                CellError(
                    cell=None, name="KernelStart", value=str(error), traceback=self.kernel.last_words()
                ),
                RuntimeError(str(error)),
            ) from error
        self.nb_man.nb.metadata["language_info"] = node(info["language_info"])
        self._client = Client(self.nb_man, self.kernel, self.recorder.changed, **self.client_options)
        self._client.reset_execution_trackers()
        if info.get("implementation") != "ipython":
            self._without_snapshots(f"the kernel {self.kernel.name!r} is not an IPython kernel")
            return
        link = KernelLink(self.kernel, self.spool)
        try:
            from respawn_kernels.lend import lend

            prepare(self.spool)
            lent = lend(self.workspace.directory("lent"))
            await self._waits.unless_stopped(link.start(lent, self.options))
        except (LinkError, OSError) as error:
            self._without_snapshots(str(error))
        else:
            self._link = link
            self._keeper.use(link)
            self._hash_seed = link.hash_seed

    def _without_snapshots(self, why: str) -> None:
        self._no_snapshots = f"no snapshots: {why}"
        self._keeper.without(self._no_snapshots)

    async def _take_up(self) -> int:
        """Bring back the state that a resumed run starts from; return the first cell that executes."""
        if self.resume is None:
            return 0
        taking_up = TakingUp(
            self.resume,
            self.port,
            self.nb_man,
            self.workspace,
            self.recorder,
            self._waits,
            self._link,
            self._no_snapshots,
            self._execute_apart,
        )
        try:
            first, known = await taking_up.run(), await taking_up.front_end()
        except NotRestored as error:
            raise Failed(CellError(cell=None, name="RestoreFailed", value=str(error))) from error
        except FailedAgain as failed:
            raise self._failure(failed.index, failed.error) from failed.error
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
        if self.resume.stale and self._link is not None:
            try:
                await self._waits.unless_stopped(self._link.settle())
            except LinkError as error:
                note = f"global names are in another order than from the top: {error}"
                await self._waits.told(self.recorder.note(self.resume.first, note))
        above = enumerate(self.nb_man.nb.cells[: self.resume.first])
        boundary = max((index for index, cell in above if cell.cell_type == "code"), default=None)
        if boundary is not None:
            self._pass(boundary, [], time.monotonic() - started)

    def _pass(self, index: int, tags: list[str], seconds: float) -> None:
        """Begin to keep the state after a cell, with what is known of displays and widgets there."""
        assert self._client is not None  # noqa: S101  set when connected
        self.recorder.know(index, self._client.front_end())
        self._keeper.passed(index, tags, seconds)

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
        said = f"cell {index} did otherwise than planned: it {in_words(found)}"
        answer = await self._waits.told(asyncio.to_thread(self.port.reconsider, done), until_stopped=True)
        if answer.stop is not None:
            told = CellError(cell=index, name=PLAN_CHANGED, value=f"{said}; {answer.stop}")
            raise Failed(told, RuntimeError(told.value))
        more = [one for one in answer.rerun if one not in waiting]
        if not more:
            return waiting
        log.info("%s; cells %s run again as well", said, more)
        if answer.forget and self._link is not None:
            await self._waits.unless_stopped(self._link.forget(answer.forget))
        for one in more:
            await self._waits.told(self.recorder.note(one, f"runs again, for {said}"))
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
            await self._keeper.ready()
            if self.stopper.reason is not None:
                raise Stopped
            # Nothing can go on from the end of a notebook; an empty cell leaves the state as it was.
            followed = index < last and bool(cell.source.strip())
            await self._execute(index, cell, followed=followed)
        await self._keeper.ready()

    async def _execute(self, index: int, cell: NotebookNode, *, followed: bool) -> None:
        assert self._client is not None  # noqa: S101  set when connected
        self.nb_man.cell_start(cell, index)
        await self._waits.told(self.recorder.start(index))
        started = time.monotonic()
        ticker = asyncio.ensure_future(self._send_outputs())
        try:
            try:
                await self._within_limit(self._client.async_execute_cell(cell, index), cell)
            finally:
                await cancelled(ticker)
        except (CellExecutionError, DeadKernelError, CellTimeoutError, Stopped) as error:
            self.nb_man.cell_exception(cell, cell_index=index, exception=error)
            if isinstance(error, CellExecutionError | DeadKernelError) and _clean_exit(cell):
                self._keeper.let_go()
                await self._waits.told(self.recorder.end(index, CellState.EXECUTED, None, self._seen(cell)))
                raise CleanExit from error
            if not self.stopper.fenced:
                await self._waits.told(self.recorder.end(index, CellState.FAILED, None, self._seen(cell)))
            if isinstance(error, Stopped):
                raise
            raise self._failure(index, error) from error
        finally:
            self.nb_man.cell_complete(cell, cell_index=index)
        state = CellState.EXECUTED
        if _shows_error(cell):
            # As `%run` of a script that fails does. papermill executes the rest, and then the run failed.
            state = CellState.FAILED
            self._shown = self._shown or self._told(index)
            await self._keeper.keep()
        if followed:
            # The kernel forks while the service is told; `ready` waits for both.
            self._pass(index, cell_tags(cell), time.monotonic() - started)
        skipped = _TAG_NOT_EXECUTED in cell_tags(cell) and cell.execution_count is None
        note = f"not executed: tagged {_TAG_NOT_EXECUTED}" if skipped else None
        await self._waits.told(self.recorder.end(index, state, note, self._seen(cell)))

    def _seen(self, cell: NotebookNode) -> CellEvidence | None:
        """Return what the kernel saw of the cell that it has just executed."""
        return evidence.take(self.spool, cell.get("execution_count"))

    async def _within_limit(self, work: Awaitable[Any], cell: NotebookNode) -> None:
        """Await what a cell does. Raises `CellTimeoutError`, as nbclient does, when it takes too long."""
        try:
            await self._waits.unless_stopped(work, limit=self.limits.cell)
        except TookTooLong as error:
            seconds: Any = self.limits.cell
            raise CellTimeoutError.error_from_timeout_and_cell(
                "Cell execution timed out", seconds, cell
            ) from error

    async def _send_outputs(self) -> None:
        away = False
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_OUTPUTS)
            try:
                await self.recorder.flush()
                away = False
            except Fenced as error:
                self.stopper.request(Stop("lost", "RunnerLost", str(error), fenced=True))
                return
            except (RespawnError, OSError) as error:
                if not away:
                    log.warning("outputs could not be sent and will be sent later: %s", error)
                away = True

    # Endings

    def _failure(self, index: int, error: Exception) -> Failed:
        """Return what to tell about a cell that ended the run."""
        if isinstance(error, DeadKernelError):
            told = CellError(
                cell=index,
                name="DeadKernel",
                value=f"the kernel died: {self.kernel.obituary()}",
                traceback=self.kernel.last_words(),
            )
            return Failed(told, error)
        if isinstance(error, CellTimeoutError) and "IOPub" in str(error):  # nbclient's, of no limit of ours
            why = "the cell ended, but the end of its outputs did not come: the kernel's output thread hangs"
            return Failed(CellError(cell=index, name="OutputTimeout", value=why), error)
        if isinstance(error, CellTimeoutError):
            limit = f"{self.limits.cell:g} seconds" if self.limits.cell else "the time allowed"
            told = CellError(cell=index, name="CellTimeout", value=f"the cell did not end within {limit}")
            return Failed(told, error, timed_out=True)
        name = getattr(error, "ename", "") or type(error).__name__
        return Failed(self._told(index, name, getattr(error, "evalue", "")))

    def _told(self, index: int, name: str = "", value: str = "") -> CellError:
        """Return what to tell of the error among a cell's outputs; `name` and `value` where there is none."""
        shown = _error_output(self.nb_man.nb.cells[index])
        return CellError(
            cell=index,
            name=shown.get("ename") or name,
            value=shown.get("evalue", value),
            traceback=self._traceback(index),
        )

    def _traceback(self, index: int | None) -> str:
        if index is None:
            return ""
        return "\n".join(_error_output(self.nb_man.nb.cells[index]).get("traceback") or [])


def _error_output(cell: NotebookNode) -> dict[str, Any]:
    errors = [output for output in cell.get("outputs") or [] if output.output_type == "error"]
    return dict(errors[-1]) if errors else {}


def _shows_error(cell: NotebookNode) -> bool:
    """Tell whether a cell that ended well shows an error that its tags do not allow."""
    return bool(_error_output(cell)) and not _clean_exit(cell) and TAG_RAISES not in cell_tags(cell)


def _clean_exit(cell: NotebookNode) -> bool:
    shown = _error_output(cell)
    return shown.get("ename") == "SystemExit" and shown.get("evalue") in ("", "0")
