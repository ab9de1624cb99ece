"""The words of Respawn as types: what the store keeps, the API answers and the command prints.

A cell's `index` is its place in the *executed* notebook, counted from 0 over all cells, with the
`injected-parameters` cell that papermill adds (when parameters were given) counted too.
Times are aware UTC datetimes. A `digest` is the BLAKE3 address of a blob (64 hex digits).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from respawn_jobs.analysis.footprint import Footprint
from respawn_jobs.evidence import Evidence
from respawn_jobs.policies import Cause as Cause
from respawn_jobs.policies import HashSeed as HashSeed
from respawn_jobs.policies import JobSettings as JobSettings
from respawn_jobs.wire import LARGEST, Many, Whole
from respawn_jobs.wire import LONGEST_SECONDS as LONGEST_SECONDS
from respawn_jobs.wire import Model as Model


class RunState(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def final(self) -> bool:
        """Whether a run in this state never changes again."""
        return self not in (RunState.QUEUED, RunState.RUNNING)

    @property
    def resumable(self) -> bool:
        """Whether a run in this state can be debugged, resumed and restarted."""
        return self.final and self is not RunState.SUCCEEDED


class CellState(StrEnum):
    """What became of one cell in one attempt."""

    PENDING = "pending"
    RUNNING = "running"
    EXECUTED = "executed"
    REUSED = "reused"
    FAILED = "failed"
    SKIPPED = "skipped"


Missed = Literal["latest", "all", "skip"]
Trigger = Literal[
    "person", "schedule", "after", "hook", "object", "backfill", "resume", "restart", "retry", "import"
]
"""What made a run: a person, the clock, other jobs, a webhook, an object that appeared, a backfill, a run
that it goes on from or starts over, or an archive."""


class Parameter(Model):
    """A declared parameter of a notebook, read from its `parameters` cell."""

    name: str
    type: str | None = None
    """int, float, str, bool, list, dict, date, datetime, time, decimal, path; None when it takes anything.

    JSON has no dates, times, decimals and paths: their values are text, ISO 8601 for dates and times. The
    notebook gets what its annotation says."""
    choices: list[Any] = []
    """The only values that it takes (`Literal`, or an enumeration's); empty for any."""
    items: str | None = None
    """Type of a list's items, where the annotation says it."""
    default: Any = None
    """The default as a JSON value; None when `required` or not a literal (see `default_source`)."""
    default_source: str = ""
    """The default as the notebook spells it."""
    required: bool = False
    """True for a bare annotation or a default of `None` with a type that is not optional."""
    nullable: bool = False
    """True when null may be given: its annotation or its default says None."""
    secret: bool = False
    """True when its values are shown to nobody: by its name, or by `respawn:secret` in its comment."""
    help: str = ""


class GitState(Model):
    """Where in a repository the notebook lay when it was promoted."""

    commit: str
    dirty: bool
    path: str


class Version(Model):
    """An immutable notebook of a job, with all that decides how it runs."""

    id: str
    job: str
    number: int
    notebook: str
    """Digest of the notebook's bytes."""
    kernel: str
    language: str
    lock: str | None = None
    """Hash of the kernel environment's lock file; None for a kernel that has none."""
    directory: str | None = None
    """Where the notebook lay: the working directory of local runs while it exists."""
    source: str | None = None
    """The file that it came from; None where that is not known."""
    git: GitState | None = None
    parameters: Many[Parameter] = []
    created_by: str
    created_at: datetime
    parent: int | None = None
    """The version it was made from, when it came out of a debug notebook."""
    authors: Many[str] = []
    """Whose code it holds beside its creator's: an archive's, or that of the version it was made from."""


class Schedule(Model):
    """A cron expression in a time zone that makes runs of a job due."""

    id: str
    job: str
    cron: str
    tz: str
    paused: bool = False
    missed: Missed = "latest"
    """What becomes of due times that passed while no service ran: `latest` makes one run, `all` one for each
    of the last `missed_most`, `skip` none."""
    missed_most: int = 100
    parameters: dict[str, Any] = {}
    next_due: datetime | None = None
    created_by: str
    created_at: datetime


class Job(Model):
    """A named notebook in a namespace."""

    id: str
    namespace: str
    name: str
    version: int
    """Number of the version that new runs use."""
    settings: JobSettings = JobSettings()
    created_by: str
    created_at: datetime
    schedules: list[Schedule] = []
    last_run: Run | None = None
    suspended: str | None = None
    """Why nothing of it runs: its namespace is not active; None when it is."""
    archived_at: datetime | None = None
    """Since when it is archived; None for a job at work."""
    archived_by: str | None = None

    @property
    def ref(self) -> str:
        """The job's full name, `namespace/name`."""
        return f"{self.namespace}/{self.name}"


class CellError(Model):
    """Why an attempt stopped: a cell's exception, or what ended the kernel while the cell ran."""

    cell: Whole | None
    """None when no cell had started (the kernel did not come up, for instance)."""
    name: str
    """The exception's class, or DeadKernel, CellTimeout, RunTimeout, RunnerLost, Drained,
    NotStarted, Terminated, KernelStart, RestoreFailed, PlanChanged."""
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


class Unstored(Model):
    """A variable that a checkpoint could not keep."""

    name: str
    type: str
    reason: str
    cell: Whole | None = None
    """The cell that made its present value."""


class Unchecked(Model):
    """Variables that a checkpoint holds and that nobody loaded and compared with what they were."""

    reason: str
    names: Many[str]
    """The first of them, in the order of their names."""
    count: Whole
    """How many there are."""

    @property
    def named(self) -> str:
        """The names as a person reads them."""
        more = self.count - len(self.names)
        return ", ".join(self.names) + (f" and {more:,} more" if more > 0 else "")


class Checkpoint(Model):
    """The kernel's variables just after a cell."""

    cell: Whole
    manifest: str
    """Digest of the manifest; the manifest names the blobs."""
    variables: Whole
    size: Whole
    """Bytes of all blobs that the manifest names."""
    new_bytes: Whole = 0
    """Bytes that were not stored before."""
    seconds: float = 0.0
    """How long the kernel was kept waiting."""
    unstored: Many[Unstored] = []
    unchecked: Many[Unchecked] = []


class ArtifactPart(Model):
    """A piece of an artifact's bytes: see `respawn_jobs.artifact_parts`."""

    digest: str
    size: int = Field(ge=0, le=LARGEST)
    """Bytes of the artifact in it."""


class Artifact(Model):
    """Something that a notebook kept under a name from within a cell."""

    name: str
    number: int = Field(ge=1, lt=2**53)
    """Counts the saves under this name, also over the runs that resume each other."""
    kind: str
    """How it is stored: parquet, npy, torch, text, bytes, json, file, directory or pickle."""
    type: str
    """The class that was saved, such as `pandas.DataFrame`."""
    description: str = ""
    """Shape, length or value in a few words."""
    file: str
    """A name for the file when it is fetched, such as `model.parquet`."""
    size: int = Field(ge=0, le=LARGEST)
    saved_at: datetime
    cell: Whole | None = None
    """The cell that saved it, in the notebook of the run that is asked."""
    made_in: str = ""
    """The run that saved it: an earlier one, when this one goes on from there."""
    attempt: Whole = 0
    """The attempt that saved it; 0 for what was taken over."""
    meta: dict[str, Any] = {}
    """What loading it in a kernel needs to know."""
    parts: Many[ArtifactPart] = []


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
    state: RunState
    parameters: dict[str, Any] = {}
    trigger: Trigger = "person"
    trigger_id: str | None = None
    """The schedule, rule, hook, watch or backfill that made it."""
    schedule: str | None = None
    due_at: datetime | None = None
    logical_at: datetime | None = None
    """The moment that the run is about: its due time, the date that a backfill gave it, that of the runs it
    follows or goes on from; else when it was made. Notebooks that declare `respawn_due` are given it."""
    priority: int = 0
    queue: str = "default"
    not_before: datetime | None = None
    """When a run that is tried again may start."""
    waiting: str | None = None
    """Why a queued run does not run yet."""
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


class Attempt(Model):
    """One try at a run by one runner."""

    id: str
    number: int
    state: RunState
    executor: str
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


class RunDetail(Model):
    """A run with its cells, checkpoints and attempts."""

    run: Run
    cells: list[CellRecord] = []
    checkpoints: list[Checkpoint] = []
    attempts: list[Attempt] = []
    restarted_by: list[str] = []


class PlanAction(StrEnum):
    """What a resume does with a cell."""

    REUSE = "reuse"
    RUN = "run"
    CANNOT_RESTORE = "cannot restore"


class PlannedCell(Model):
    """What a resume does with one code cell, and why.

    `why` names the dependency where there is one, such as "reads df, which cell 3 makes".
    """

    index: int
    action: PlanAction
    why: str = ""
    title: str = ""
    """First line of the cell's source."""
    once: bool = False
    """Tagged `respawn:once`, and finished in the run that is resumed."""
    unwatched: str | None = None
    """Why it rests on the analysis alone that this cell, which is reused, is independent of what changed;
    None when what was seen of it while it ran says the same, and where nothing above it changed."""
    changed_inputs: list[str] = []
    """What has become of files that this cell, which is reused, has read, as far as they can be seen."""


class NewCell(Model):
    """A code cell that the fixed notebook has and the run's version has not."""

    id: str
    """The notebook's own id of the cell."""
    index: int | None
    """Its place in the notebook that runs; None when it is left out as scratch."""
    title: str = ""
    """First line of the cell's source."""


class Prediction(Model):
    """What a plan takes a cell to do; when the cell does more, the plan is made anew."""

    index: int
    footprint: Footprint


class Plan(Model):
    """What a resume would do, told before anything starts."""

    run: str
    first: int | None
    """Index of the first code cell below the restored state: it and all below it run. None for none."""
    rerun: list[int] = []
    """Cells above `first` that run again before it, in their order."""
    checkpoint: Checkpoint | None = None
    """The state it starts from; None when it starts with an empty kernel."""
    cells: list[PlannedCell] = []
    new: list[NewCell] = []
    """Cells that were added, those that are left out as scratch included."""
    stale: list[str] = []
    """Variables of the checkpoint that are removed before anything runs: cells that run make them anew."""
    makers: list[int] = []
    """Cells that run again to make what could not be stored, once that is agreed."""
    imported: list[str] = []
    """The archives that the state it starts from came of: to load it runs their code, and needs consent."""
    strict: bool = False
    """Whether everything from the first change on runs again, whatever depends on it."""
    parameters: dict[str, Any] = {}
    """The parameters that it runs with."""
    changed_parameters: list[str] = []
    again: list[int] = []
    """Reused cells that run again on restore, for session state that they set and that was not stored."""
    lost: list[str] = []
    """Session state that was set, that the restored state does not hold, and that no cell makes again."""
    said: list[str] = Field(default=[], exclude=True, repr=False)
    """Of `notices`, what may make the result another one; only within the service."""
    always: list[str] = Field(default=[], exclude=True, repr=False)
    """Of `said`, what cells that make something again may make otherwise."""
    predictions: list[Prediction] = Field(default=[], exclude=True, repr=False)
    """What the cells in `rerun` are taken to do; only within the service."""
    problems: list[str] = []
    """Reasons why the resume would be refused; empty when it may start."""
    notices: list[str] = []
    """What changes without stopping the resume, such as an earlier resume point."""


class DebugBundle(Model):
    """All that is needed to open a run's failure in a notebook."""

    run: Run
    version: Version
    cells: list[CellRecord]
    notebook: str
    """Text of the executed notebook as far as it came."""
    checkpoint: Checkpoint | None = None
    """The state just before the cell that failed; None when that is an empty kernel."""
    blobs: list[str] = []
    """Digests that the manifest names, the manifest's own not among them."""
    artifacts: list[Artifact] = []
    """The latest of each name that the run kept."""
    link: str | None = None


class AuditRecord(Model):
    """Who did what, chained by hashes so that a change cannot go unnoticed."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any] = {}
    previous: str
    hash: str


Job.model_rebuild()
