"""Runs as clients of the service see them: their states, cells and attempts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from respawn_jobs.model.base import Many, Model, Whole
from respawn_jobs.model.cell_cost import CellCost
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.evidence import Evidence
from respawn_jobs.model.kernels import KernelStart, LivingKernel
from respawn_jobs.model.limits import LimitRecord
from respawn_jobs.model.open_values import OPEN, OpenEnum
from respawn_jobs.model.settings import Cause, HashSeed

Trigger = Annotated[
    Literal[
        "person",
        "schedule",
        "dependency",
        "hook",
        "sensor",
        "backfill",
        "resume",
        "restart",
        "retry",
        "import",
    ],
    OPEN,
]
"""What made a run: a person, the clock, other jobs, a webhook, an object that appeared, a backfill, a run
that it goes on from or starts over, or an archive."""


class RunState(OpenEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUSPENDED = "suspended"
    """It waits for a person: no attempt acts for it, and its state is kept. An attempt in this state has
    ended, so that its run could wait."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def final(self) -> bool:
        """Whether a run in this state never changes again. One in a state that is not known here may."""
        return self in _ENDS

    @property
    def executing(self) -> bool:
        """Whether an attempt in this state holds a lease and a slot."""
        return self in (RunState.QUEUED, RunState.RUNNING)

    @property
    def resumable(self) -> bool:
        """Whether a run in this state can be debugged, resumed and restarted."""
        return self.final and self is not RunState.SUCCEEDED


_ENDS = (RunState.SUCCEEDED, RunState.FAILED, RunState.TIMED_OUT, RunState.CANCELLED, RunState.LOST)


class CellState(OpenEnum):
    """What became of one cell in one attempt."""

    PENDING = "pending"
    RUNNING = "running"
    EXECUTED = "executed"
    REUSED = "reused"
    FAILED = "failed"
    SKIPPED = "skipped"


class CellError(Model):
    """Why an attempt stopped: a cell's exception, or what ended the kernel while the cell ran."""

    cell: Whole | None
    """None when no cell had started (the kernel did not come up, for instance)."""
    name: str
    """The exception's class, or DeadKernel, CellTimeout, CellBlocked, RunTimeout, RunnerLost, Preempted,
    NotStarted, Terminated, KernelStart, RestoreFailed, PlanChanged, OutOfMemory, MemoryLimitTooLow,
    ProcessLimitExceeded, DiskLimitExceeded, EnvironmentMissing."""
    value: str
    traceback: str = ""
    """Plain text with ANSI colours, as IPython prints it."""


class CellRecord(Model):
    """One code cell of the latest attempt of a run."""

    index: int
    cell_id: str
    state: CellState
    source_hash: str
    tags: Many[str] = []
    execution_count: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None
    outputs: str | None = None
    """Digest of the cell's outputs: a JSON list of nbformat outputs."""
    checkpoint: str | None = None
    """Digest of the manifest of the state just after this cell."""
    note: str | None = None
    """What a person must know, such as why no checkpoint was taken."""
    parameters_hash: str | None = None
    """Hash of the parameters that it ran under; a reused cell keeps those that it really ran under."""
    lock: str | None = None
    """Hash of the kernel's lock file that it ran under."""
    evidence: Evidence | None = None
    """What was seen of it while it ran; None when nothing was, and in answers that leave it out."""
    cost: CellCost | None = None
    """What it took of its machine beside `seconds`; None when nobody measured it, as in other kernels than
    those that the runner started on its own machine. A reused cell keeps that of its execution."""
    blocked_since: datetime | None = None
    """Since when a running cell has given no sign of life, once that is longer than its job allows."""


class Imported(Model):
    """Where a run was executed that came in an archive."""

    run: str
    """Its id there."""
    job: str
    exported_by: str
    exported_at: datetime


class Run(Model):
    """One execution of one version with one parameter set."""

    id: str
    job: str
    version: int
    kernel: str
    lock: str | None = None
    """Hash of the build of its kernel that it uses; None for a kernel of no lock."""
    newer_lock: str | None = None
    """Hash of the build that the kernel has now, where that is another one."""
    state: RunState
    parameters: dict[str, Any] = {}
    trigger: Trigger = "person"
    trigger_id: str | None = None
    """The schedule, dependency, hook, sensor or backfill that made it."""
    schedule: str | None = None
    due_at: datetime | None = None
    logical_date: datetime | None = None
    """The moment that the run is about: its due time, the date that a backfill gave it, that of the runs it
    follows or resumes; else when it was made. Notebooks that declare `respawn_logical_date` are given it."""
    priority: int = 0
    queue: str = "default"
    not_before: datetime | None = None
    """When a run that is tried again may start."""
    waiting: str | None = None
    """Why a queued run does not run yet, or what a suspended one waits for."""
    pinned: bool = False
    """Whether retention leaves it alone."""
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 0
    cells_total: int = 0
    cells_done: int = 0
    error: CellError | None = None
    notebook: str | None = None
    """Digest of the executed notebook, once the run is final."""
    origin: str | None = None
    """The run that this one resumes or restarts."""
    origin_kept: bool = True
    """False once retention has removed the run that `origin` names."""
    imported: Imported | None = None
    """Where it is from, when it came in an archive."""
    authors: Many[str] = []
    """Whose code has made its state, through all runs that it goes on from; an archive is none of us."""
    resumed_by: str | None = None
    """The run that resumes this one."""
    resume_from: int | None = None
    cancel_requested: bool = False
    revision: int = 0
    """Grows with every change of the run or its cells; live pages follow it."""

    @property
    def over(self) -> bool:
        """Whether the run has ended, also in a state that only a newer service has."""
        return self.state.final or (not self.state.known and self.finished_at is not None)

    def listed(self) -> Run:
        """Return the run as lists have it: without its traceback, which may be long."""
        if self.error is None:
            return self
        return self.model_copy(update={"error": self.error.model_copy(update={"traceback": ""})})


class Attempt(Model):
    """One try at a run by one runner."""

    id: str
    number: int
    state: RunState
    executor: str
    profile: str | None = None
    """The profile of the job server that executes it; None where there are no profiles."""
    replica: str | None = None
    """The replica of the service whose executor started its runner."""
    cause: Cause | None = None
    """Why it ended without success."""
    note: str | None = None
    """What followed: another try and from where, or why there is none."""
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    finished_at: datetime | None = None
    error: CellError | None = None
    hash_seed: HashSeed | None = None
    """The seed by which its kernel hashed texts; `random` when the kernel had none of its own, None when it
    did not say: it is no IPython kernel, or the attempt was lost before anything was stored."""
    limits: LimitRecord | None = None
    """How its kernel was held to its limits; None without limits, while it runs, and when it was lost."""
    kernel_start: KernelStart | None = None
    """Whether its kernel was warm, and why not; None until it ends, and where the runner did not say."""
    directory: str | None = None
    """The directory of its own in which it worked, where its version carries files; None until something of
    it was stored."""


class RunDetail(Model):
    """A run with its cells, checkpoints and attempts."""

    run: Run
    cells: list[CellRecord] = []
    checkpoints: list[Checkpoint] = []
    attempts: list[Attempt] = []
    restarted_by: list[str] = []
    living: LivingKernel | None = None
    """Its kernel, where that lives on in a job server."""
