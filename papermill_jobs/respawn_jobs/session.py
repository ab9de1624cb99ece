"""One execution of a notebook in one kernel: from connecting to it to the last cell, or to what ended it.

What the notebook's author sees is papermill's doing: cells, outputs, errors and metadata come about in its
client. This adds what a run needs: cells that are reused, checkpoints between cells, and reasons to stop.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat import from_dict as _untyped_from_dict

from respawn_jobs.client import Client
from respawn_jobs.errors import Fenced, RespawnError
from respawn_jobs.kernel import Kernel, KernelFailed
from respawn_jobs.kernel_link import KernelLink, LinkError
from respawn_jobs.models import CellError, CellState
from respawn_jobs.notebooks import TAG_ALWAYS, TAG_NO_CHECKPOINT, cell_tags
from respawn_jobs.protocol import Outcome, ResumeFrom, RunnerPort
from respawn_jobs.recorder import Recorder
from respawn_jobs.restoring import NotLoaded, problems
from respawn_jobs.stopping import Stop, Stopper
from respawn_jobs.workspace import Workspace

if TYPE_CHECKING:
    from papermill.engines import NotebookExecutionManager

log = logging.getLogger(__name__)
T = TypeVar("T")

_INTERRUPT_GRACE_SECONDS = 5.0
_SECONDS_BETWEEN_OUTPUTS = 1.0
_LOOK_SECONDS = 0.5
_TAG_NOT_EXECUTED = "skip-execution"


class Stopped(Exception):
    """A reason to stop came while something was going on in the kernel."""


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
    client_options: dict[str, Any] = field(default_factory=dict)
    _client: Client | None = None
    _link: KernelLink | None = None
    _no_snapshots: str | None = None
    _current: int | None = None

    async def run(self) -> Ending:
        """Execute; every ending but a refusal of the service is returned, not raised."""
        try:
            await self._told(self.recorder.begin())
            await self._connect()
            first = await self._take_up()
            await self._execute_from(first)
        except CleanExit:
            ending = Ending(Outcome(state="succeeded"))
        except Failed as failed:
            outcome = Outcome(state="timed_out" if failed.timed_out else "failed", error=failed.error)
            ending = Ending(outcome, failed.cause)
        except Stopped:
            ending = self._stopped(self.stopper.reason)
        else:
            ending = Ending(Outcome(state="succeeded"))
        if not self.stopper.fenced:
            with suppress(Stopped):  # fenced meanwhile
                await self._told(self.recorder.skip_rest())
        if self._client is not None:
            self._client.set_widgets_metadata()
        return ending

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
            info = await self._unless_stopped(self.kernel.connect(self.limits.start))
        except KernelFailed as error:
            raise Failed(
                CellError(
                    cell=None, name="KernelStart", value=str(error), traceback=self.kernel.last_words()
                ),
                RuntimeError(str(error)),
            ) from error
        self.nb_man.nb.metadata["language_info"] = _node(info["language_info"])
        self._client = Client(self.nb_man, self.kernel, self.recorder.changed, **self.client_options)
        self._client.reset_execution_trackers()
        if self.limits.cell:
            self._client.timeout_func = lambda _: self.limits.cell
        if info.get("implementation") != "ipython":
            self._no_snapshots = f"no snapshots: the kernel {self.kernel.name!r} is not an IPython kernel"
            return
        link = KernelLink(self.kernel, self.spool)
        try:
            from respawn_kernels.lend import lend

            await self._unless_stopped(link.start(lend(self.workspace.directory("lent"))))
        except (LinkError, OSError) as error:
            self._no_snapshots = f"no snapshots: {error}"
        else:
            self._link = link

    async def _take_up(self) -> int:
        """Bring back the state that a resumed run starts from; return the first cell that executes."""
        if self.resume is None:
            return 0
        resume = self.resume
        for reused in resume.reused:
            cell = self.nb_man.nb.cells[reused.index]
            outputs = json.loads(await self._fetch(reused.outputs)) if reused.outputs else []
            cell.outputs = [_node(output) for output in outputs]
            cell.execution_count = reused.execution_count
            cell.metadata.papermill["status"] = self.nb_man.COMPLETED
        await self._told(self.recorder.reuse(resume.reused))
        lost = await self._restore(resume)
        again = [
            (index, cell)
            for index, cell in enumerate(self.nb_man.nb.cells[: resume.first])
            if cell.cell_type == "code" and TAG_ALWAYS in cell_tags(cell)
        ]
        for index, cell in again:
            await self._make_again(index, cell)
        self._current = None
        if again:
            # The cells made what could not be stored; everything else gets back the value it had.
            lost = await self._restore(resume, again=True)
        if told := problems(self.nb_man.nb, resume.first, lost):
            raise _restore_failed("; ".join(told))
        if lost:
            note = f"not restored: {'; '.join(map(str, lost))}"
            await self._told(self.recorder.note(resume.first, note))
        return resume.first

    async def _restore(self, resume: ResumeFrom, *, again: bool = False) -> list[NotLoaded]:
        """Bring the checkpoint's variables into the kernel; return those that would not load."""
        if resume.manifest is None:
            return []
        if self._link is None:
            raise _restore_failed(self._no_snapshots or "the kernel takes no snapshots")
        directory = self.workspace.directory("restore")
        if not again:
            await self._download(resume.manifest, resume.blobs, directory)
        (manifest,) = (directory / "manifests").iterdir()
        try:
            return await self._unless_stopped(self._link.restore(directory, int(manifest.stem), again=again))
        except LinkError as error:
            raise _restore_failed(str(error)) from error

    async def _download(self, manifest: str, blobs: list[str], directory: Path) -> None:
        from respawn_kernels.digest import write_whole

        text = await self._fetch(manifest)
        cell = int(json.loads(text)["cell"])
        for place in ("manifests", "blobs"):
            (directory / place).mkdir(exist_ok=True)
        for digest in blobs:
            write_whole(directory / "blobs" / digest, await self._fetch(digest), durable=False)
        write_whole(directory / "manifests" / f"{cell}.json", text, durable=False)

    async def _fetch(self, digest: str) -> bytes:
        return await self._told(asyncio.to_thread(self.port.get_blob, digest), until_stopped=True)

    async def _make_again(self, index: int, cell: NotebookNode) -> None:
        """Rerun a reused cell for what it makes in the kernel; its recorded outputs stay."""
        assert self._client is not None  # noqa: S101  set when connected
        self._current = index
        scratch = _node(cell)
        try:
            await self._unless_stopped(self._client.async_execute_cell(scratch, index, store_history=False))
        except (CellExecutionError, DeadKernelError, CellTimeoutError) as error:
            cell.outputs = scratch.outputs
            note = "failed when it was rerun to make its variables again"
            await self._told(self.recorder.end(index, CellState.FAILED, note))
            raise self._failure(index, error) from error
        finally:
            self.nb_man.nb.cells[index] = cell  # nbclient puts the scratch cell there

    # The cells

    async def _execute_from(self, first: int) -> None:
        cells = self.nb_man.nb.cells
        filled = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and cell.source.strip()]
        last = max(filled, default=-1)
        for index, cell in enumerate(cells):
            if index < first:
                self.nb_man.cell_complete(cell, cell_index=index)
                continue
            if cell.cell_type != "code":
                self.nb_man.cell_start(cell, index)
                self.nb_man.cell_complete(cell, cell_index=index)
                continue
            self._current = index
            if self.stopper.reason is not None:
                raise Stopped
            await self._execute(index, cell)
            # Nothing can go on from the end of a notebook, so the last cell needs no checkpoint.
            if index < last and cell.source.strip():
                await self._checkpoint(index, cell)

    async def _execute(self, index: int, cell: NotebookNode) -> None:
        assert self._client is not None  # noqa: S101  set when connected
        self.nb_man.cell_start(cell, index)
        await self._told(self.recorder.start(index))
        ticker = asyncio.ensure_future(self._send_outputs())
        try:
            try:
                await self._unless_stopped(self._client.async_execute_cell(cell, index))
            finally:
                await _cancelled(ticker)
        except (CellExecutionError, DeadKernelError, CellTimeoutError, Stopped) as error:
            if _clean_exit(cell):
                await self._told(self.recorder.end(index, CellState.EXECUTED))
                raise CleanExit from error
            self.nb_man.cell_exception(cell, cell_index=index, exception=error)
            if not self.stopper.fenced:
                await self._told(self.recorder.end(index, CellState.FAILED))
            if isinstance(error, Stopped):
                raise
            raise self._failure(index, error) from error
        finally:
            self.nb_man.cell_complete(cell, cell_index=index)
        skipped = _TAG_NOT_EXECUTED in cell_tags(cell) and cell.execution_count is None
        note = f"not executed: tagged {_TAG_NOT_EXECUTED}" if skipped else None
        await self._told(self.recorder.end(index, CellState.EXECUTED, note))

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

    async def _checkpoint(self, index: int, cell: NotebookNode) -> None:
        """Store the state after a cell; when that cannot be done, the cell's note says why."""
        if TAG_NO_CHECKPOINT in cell_tags(cell):
            await self._told(self.recorder.note(index, f"no checkpoint: tagged {TAG_NO_CHECKPOINT}"))
        elif self._link is None:
            await self._told(self.recorder.note(index, self._no_snapshots or "no snapshots"))
        else:
            try:
                manifest = await self._unless_stopped(self._link.checkpoint(index))
                await self._told(self.recorder.commit(manifest, self.spool), until_stopped=True)
            except Fenced:
                raise
            except (LinkError, OSError, RespawnError) as error:
                await self._told(self.recorder.note(index, f"no checkpoint: {error}"))

    # Endings

    async def _told(self, telling: Awaitable[T], *, until_stopped: bool = False) -> T:
        """Await what passes between us and the service, while nothing goes on in the kernel.

        Raises `Stopped` as soon as the attempt is fenced, or with `until_stopped` for any reason to stop.
        """
        task = asyncio.ensure_future(telling)
        while True:
            done, _ = await asyncio.wait({task}, timeout=_LOOK_SECONDS)
            if done:
                return task.result()
            if self.stopper.fenced or (until_stopped and self.stopper.reason is not None):
                await _cancelled(task)
                raise Stopped

    async def _unless_stopped(self, work: Awaitable[T]) -> T:
        """Await `work` in the kernel; on a reason to stop interrupt it, then kill it; raise `Stopped`."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self.stopper.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not stop.done():
                return task.result()
            if not task.done() and not self.stopper.fenced:
                await self.kernel.interrupt()
                await asyncio.wait({task}, timeout=_INTERRUPT_GRACE_SECONDS)
            if not task.done():
                self.kernel.kill()
                await asyncio.wait({task}, timeout=_INTERRUPT_GRACE_SECONDS)
            raise Stopped
        finally:
            await _cancelled(task)
            await _cancelled(stop)

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
        if isinstance(error, CellTimeoutError):
            limit = f"{self.limits.cell:g} seconds" if self.limits.cell else "the time allowed"
            told = CellError(cell=index, name="CellTimeout", value=f"the cell did not end within {limit}")
            return Failed(told, error, timed_out=True)
        shown = _error_output(self.nb_man.nb.cells[index])
        name = shown.get("ename") or getattr(error, "ename", "") or type(error).__name__
        value = shown.get("evalue", getattr(error, "evalue", ""))
        return Failed(CellError(cell=index, name=name, value=value, traceback=self._traceback(index)))

    def _traceback(self, index: int | None) -> str:
        if index is None:
            return ""
        return "\n".join(_error_output(self.nb_man.nb.cells[index]).get("traceback") or [])


def _restore_failed(why: str) -> Failed:
    return Failed(CellError(cell=None, name="RestoreFailed", value=why))


async def _cancelled(future: asyncio.Future[Any]) -> None:
    future.cancel()
    with suppress(asyncio.CancelledError, Exception):  # told already, or of no more interest
        await future


def _node(document: Any) -> Any:
    """Return a deep copy of a JSON document as nbformat wants it."""
    return _untyped_from_dict(document)  # type: ignore[no-untyped-call]


def _error_output(cell: NotebookNode) -> dict[str, Any]:
    errors = [output for output in cell.get("outputs") or [] if output.output_type == "error"]
    return dict(errors[-1]) if errors else {}


def _clean_exit(cell: NotebookNode) -> bool:
    shown = _error_output(cell)
    return shown.get("ename") == "SystemExit" and shown.get("evalue") in ("", "0")
