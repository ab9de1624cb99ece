"""Executes one attempt: claims it, drives its kernel through the notebook, and says how it ended.

A runner knows only its `RunnerPort`. While it works a heartbeat keeps the lease; when the service answers
*cancel* the kernel is interrupted and, if that does not help, killed; when it answers that the attempt is no
longer ours, everything stops at once and nothing more is sent. Whatever else happens is a recorded state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respawn_environments.warm.adoption import adopting
from respawn_jobs.api.runner_protocol import (
    CELL_COST,
    ENVIRONMENT_MISSING,
    Assignment,
    Outcome,
    RunnerPort,
)
from respawn_jobs.errors import Fenced, InvalidInput, RespawnError
from respawn_jobs.host.workspace import Workspace
from respawn_jobs.model.kernels import KERNEL_START
from respawn_jobs.model.runs import CellError
from respawn_jobs.model.settings import Cause
from respawn_jobs.runner.cancellation import Heartbeat, Stop, Stopper, stopping_signals, time_limit
from respawn_jobs.runner.finishing import finish
from respawn_jobs.runner.kernel.early_kernel import KernelAhead
from respawn_jobs.runner.kernel.kernel_process import BuildMissing, KernelFailed, KernelProcess
from respawn_jobs.runner.wanted_state import WantedState
from respawn_jobs.runner.work_place import WorkPlace, work_place
from respawn_kernels.checkpoint.manifest import Manifest

if TYPE_CHECKING:
    from papermill.engines import NotebookExecutionManager

    from respawn_jobs.runner.artifact_sync import ArtifactSync
    from respawn_jobs.runner.kept_kernel import KernelKeeper
    from respawn_jobs.runner.recorder import Progress, Recorder
    from respawn_jobs.runner.session import Session

log = logging.getLogger(__name__)


@dataclass
class EndedAttempt:
    """How an attempt ended, and what papermill's own engine would have raised."""

    outcome: Outcome
    exception: BaseException | None = None


@dataclass
class _Work:
    """What differs between a runner's own attempts and those under papermill."""

    port: RunnerPort
    assignment: Assignment
    notebook: Callable[[], NotebookExecutionManager]
    place: WorkPlace
    spool: Path | None = None
    progress: Progress | None = None
    requeue_on_sigterm: bool = False
    keeper: KernelKeeper | None = None
    start_timeout: float = 60.0
    wanted: WantedState = field(default_factory=WantedState)
    client_options: dict[str, Any] = field(default_factory=dict)


def execute_attempt(
    port: RunnerPort,
    *,
    spool: Path | None = None,
    output: Path | None = None,
    progress: Progress | None = None,
    early: KernelAhead | None = None,
    requeue_on_sigterm: bool = False,
    keeper: KernelKeeper | None = None,
) -> Outcome:
    """Execute an attempt from claim to finish.

    Args:
        port: The service, bound to the attempt.
        spool: Directory for the kernel's checkpoints; None for one that is removed at the end.
        output: File that holds the executed notebook while it grows; None for none.
        progress: Called with all cells at first, then with each one that changes.
        early: A kernel that was started ahead; used when it is the right one, closed in any case.
        requeue_on_sigterm: Whether another runner continues the run when SIGTERM ends this one.
        keeper: Keeps the kernel of an attempt that failed, before this returns; None ends it.

    Returns:
        The outcome, as the service got it.

    Raises:
        RespawnError: the attempt could not be claimed.
    """
    try:
        assignment = port.claim()
        with Workspace() as workspace, work_place(port, assignment, workspace) as place:
            work = _Work(
                port=port,
                assignment=assignment,
                notebook=lambda: _growing_notebook(port, assignment, output),
                place=place,
                spool=spool,
                progress=progress,
                requeue_on_sigterm=requeue_on_sigterm,
                keeper=keeper,
            )
            wanted = (assignment.kernel, place.path, assignment.lock)
            # A resume's kernel hashes as the state's did.
            if early and place.trouble is None and assignment.resume is None and early.serves(*wanted):
                return early.runner.run(_attempt(work, workspace, early.take())).outcome
            if early is not None:
                early.close()  # else it would live through the attempt, beside the attempt's own
                early = None
            with asyncio.Runner() as runner:
                return runner.run(_attempt(work, workspace, None)).outcome
    finally:
        if early is not None:
            early.close()


def execute_prepared(
    port: RunnerPort,
    nb_man: NotebookExecutionManager,
    *,
    start_timeout: float = 60.0,
    cell_timeout: float | None = None,
    client_options: dict[str, Any] | None = None,
) -> EndedAttempt:
    """Execute an attempt on a notebook that papermill has parameterized and started.

    Args:
        port: The service, bound to the attempt.
        nb_man: papermill's hold on the notebook; it is executed in place, in the present directory.
        start_timeout: Seconds the kernel may take to come up.
        cell_timeout: Seconds each cell may take; None for no limit.
        client_options: Further options for nbclient's client.
    """
    assignment = port.claim().model_copy(update={"cell_timeout_seconds": cell_timeout})
    work = _Work(
        port=port,
        assignment=assignment,
        notebook=lambda: nb_man,
        place=WorkPlace(None),
        start_timeout=start_timeout,
        client_options=client_options or {},
    )

    def execute() -> EndedAttempt:
        with Workspace() as workspace, asyncio.Runner() as runner:
            return runner.run(_attempt(work, workspace, None))

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return execute()
    # papermill was called from a notebook or another program with an event loop of its own.
    with ThreadPoolExecutor(1, thread_name_prefix="respawn-attempt") as pool:
        return pool.submit(execute).result()


async def _attempt(work: _Work, workspace: Workspace, kernel: KernelProcess | None) -> EndedAttempt:
    """Execute, tell the service how it ended, and keep the kernel where it is to be kept."""
    # What a cell has set free passes to this process when the kernel ends, and is ended with it.
    with adopting() if work.assignment.limits.any else nullcontext():
        ended, kept = await _recorded(work, workspace, kernel)
        if kept is not None and work.keeper is not None:
            try:
                work.place.let_go()
                await work.keeper.keep(work.assignment, kept)
            finally:
                await _close(kept, now=True)
        return ended


async def _recorded(
    work: _Work, workspace: Workspace, kernel: KernelProcess | None
) -> tuple[EndedAttempt, KernelProcess | None]:
    """Execute, then tell the service how it ended while the kernel shuts down, unless that is to be kept."""
    stopper = Stopper()
    stopper.attach()
    heartbeat = Heartbeat(work.port, work.assignment.lease_seconds, stopper, on_store=work.wanted.ask)
    heartbeat.start()
    nb_man: list[NotebookExecutionManager] = []
    try:
        with (
            stopping_signals(stopper, requeue_on_sigterm=work.requeue_on_sigterm),
            time_limit(stopper, work.assignment.timeout_seconds),
        ):
            ended, kernel = await _execute(work, workspace, stopper, kernel, nb_man)
            work.place.succeeded = ended.outcome.state == "succeeded"
            kept = kernel if await _is_kept(work, workspace, ended.outcome, kernel) else None
            closing = asyncio.ensure_future(
                _close(kernel, now=ended.outcome.state not in ("succeeded", "failed"))
                if kept is None
                else asyncio.sleep(0)
            )
            try:
                if stopper.reason is not None and stopper.reason.fenced:
                    error = CellError(cell=None, name="RunnerLost", value=stopper.reason.value)
                    ended.outcome = Outcome(state="lost", error=error)
                else:
                    # In a thread, so that the kernel shuts down meanwhile.
                    ended.outcome = await asyncio.to_thread(
                        finish,
                        work.port,
                        work.assignment,
                        ended.outcome,
                        nb_man[0] if nb_man else None,
                        reported=work.place.reported,
                        complete=not work.client_options,
                    )
            finally:
                await closing
            if kept is not None and ended.outcome.state != "failed":  # it is no attempt of ours any more
                await _close(kept, now=True)
                kept = None
            return ended, kept
    finally:
        heartbeat.close()


async def _is_kept(work: _Work, workspace: Workspace, outcome: Outcome, kernel: KernelProcess | None) -> bool:
    """Return whether the kernel of an attempt is kept for a person."""
    if work.keeper is None:
        return False
    spool = work.spool or workspace.directory("spool")
    return await work.keeper.take(work.assignment, outcome, kernel, spool)


async def _execute(
    work: _Work,
    workspace: Workspace,
    stopper: Stopper,
    kernel: KernelProcess | None,
    nb_man: list[NotebookExecutionManager],
) -> tuple[EndedAttempt, KernelProcess | None]:
    """Run the session; every failure becomes an ending. `nb_man` receives the notebook once there is one."""
    try:
        work.place.check()
        if kernel is None:
            kernel = await KernelProcess.start(
                work.assignment.kernel,
                directory=work.place.path,
                log=workspace.path / "kernel.log",
                hash_seed=await asyncio.to_thread(_seed_of_state, work),
                lock=work.assignment.lock,
            )
        # The kernel boots in its own process while these import papermill, nbclient and nbformat here.
        nb_man.append(work.notebook())
        from respawn_jobs.runner.artifact_sync import ArtifactSync
        from respawn_jobs.runner.recorder import Recorder

        spool = work.spool or workspace.directory("spool")
        given = work.assignment
        collector = ArtifactSync(work.port, given.run, spool / "artifacts", given.artifacts, given.can)
        recorder = Recorder(
            work.port, nb_man[0].nb, progress=collector.watching(work.progress), directory=work.place.reported
        )
        session = _session_of(work, workspace, stopper, kernel, nb_man[0], recorder, spool)
        work.wanted.follow(session.keeper.store_now)
        collector.start()
        try:
            ending = await session.run()
            await _keep_artifacts(collector, recorder, stopper)
        finally:
            collector.close()
            recorder.close()
        if stopper.reason is not None and stopper.reason.name == "Interrupted":
            ending.exception = KeyboardInterrupt()
        return EndedAttempt(ending.outcome, ending.exception), kernel
    except KernelFailed as error:
        if isinstance(error, BuildMissing):
            return _failed(ENVIRONMENT_MISSING, error, cause=Cause.ENVIRONMENT_MISSING), kernel
        return _failed("KernelStart", error, cause=Cause.DEAD_KERNEL), kernel
    except Fenced as error:
        stopper.request(Stop("lost", "RunnerLost", str(error), fenced=True))
        return _failed("RunnerLost", error, "lost"), kernel
    except InvalidInput as error:
        return _failed("InvalidInput", error), kernel
    except RespawnError as error:
        return _failed("RunnerLost", error, "lost"), kernel
    except Exception as error:
        # The boundary of the attempt: a defect of ours or of an extension must still end in a recorded state.
        log.exception("attempt %s of %s broke", work.assignment.attempt, work.assignment.run)
        return _failed(type(error).__name__, error, cause=Cause.CELL_ERROR), kernel


def _session_of(
    work: _Work,
    workspace: Workspace,
    stopper: Stopper,
    kernel: KernelProcess,
    nb_man: NotebookExecutionManager,
    recorder: Recorder,
    spool: Path,
) -> Session:
    """Return the session that executes an attempt's notebook."""
    from respawn_jobs.runner.confinement import Confinement
    from respawn_jobs.runner.session import Session
    from respawn_jobs.runner.session_end import SessionLimits
    from respawn_kernels.exchange.messages import Options

    assignment = work.assignment
    return Session(
        port=work.port,
        nb_man=nb_man,
        kernel=kernel,
        stopper=stopper,
        workspace=workspace,
        recorder=recorder,
        spool=spool,
        confinement=Confinement(kernel, assignment.limits, spool, work.place.path),
        limits=SessionLimits.of(assignment, work.start_timeout),
        measured=CELL_COST in assignment.can,
        start_recorded=KERNEL_START in assignment.can,
        resume=assignment.resume,
        directory=work.place.reported or assignment.directory,
        share=assignment.checkpoint_share,
        options=Options(
            fork=assignment.snapshot_fork,
            memory_mb=assignment.snapshot_memory_mb,
            kernel_memory_bytes=assignment.limits.memory_bytes,
        ),
        client_options=work.client_options,
    )


def _seed_of_state(work: _Work) -> str | None:
    """Return the hash seed of the state that is restored; None when there is none, or none is recorded."""
    resume = work.assignment.resume
    if resume is None or resume.manifest is None:
        return None
    try:
        return Manifest.from_json(work.port.get_blob(resume.manifest)).hash_seed
    except Fenced:
        raise
    except (RespawnError, OSError, ValueError) as error:  # the restore reports why
        log.warning("the hash seed of the state that is resumed cannot be read: %s", error)
        return None


async def _keep_artifacts(collector: ArtifactSync, recorder: Recorder, stopper: Stopper) -> None:
    """Wait for what the cells kept to be stored; what could not be is noted at its cell."""
    if stopper.fenced:
        return
    for cell, note in await asyncio.to_thread(collector.drain, lambda: stopper.reason is not None):
        log.warning("%s", note)
        if cell in recorder.events and not stopper.fenced:
            await recorder.note(cell, note)


def _failed(name: str, error: Exception, state: Any = "failed", cause: Cause | None = None) -> EndedAttempt:
    record = CellError(cell=None, name=name, value=str(error))
    return EndedAttempt(Outcome(state=state, error=record, cause=cause), error)


async def _close(kernel: KernelProcess | None, *, now: bool) -> None:
    if kernel is not None:
        await kernel.close(now=now)


def _growing_notebook(
    port: RunnerPort, assignment: Assignment, output: Path | None
) -> NotebookExecutionManager:
    """Fetch, read and parameterize the assignment's notebook."""
    from respawn_jobs.notebook.document import read_notebook
    from respawn_jobs.notebook.parameterization import parameterize
    from respawn_jobs.runner.kernel.notebook_client import GrowingNotebook

    nb = read_notebook(port.get_blob(assignment.notebook).decode())
    nb = parameterize(nb, assignment.parameters, assignment.kernel, assignment.language)
    growing = GrowingNotebook(nb, output)
    growing.notebook_start()
    return growing
