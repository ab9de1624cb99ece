"""What passes between a runner and the service, and the interface that both sides keep.

A runner knows the service's URL, its attempt's id and its token, nothing else. The same interface is served
over HTTP (`respawn_jobs.remote.client`) and in-process (`respawn_jobs.ledger`); tests/contract holds both to
it. Every call raises `Fenced` once the attempt was replaced, finished or lost: the runner then stops at once.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from respawn_jobs.errors import Conflict
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.base import Many, Model, Whole
from respawn_jobs.model.cell_cost import CellCost
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.evidence import Evidence
from respawn_jobs.model.jobs import CarriedFile
from respawn_jobs.model.kernels import KERNEL_START, KernelStart
from respawn_jobs.model.limits import KernelLimits, LimitRecord
from respawn_jobs.model.open_values import OPEN
from respawn_jobs.model.plans import Prediction
from respawn_jobs.model.runs import CellError, CellState
from respawn_jobs.model.settings import BLOCKED_AFTER_SECONDS, Cause, HashSeed

PROTOCOL = 1
"""What runner and service say to each other. Fields may be added: readers pass over what they do not know."""
CELL_COST = "cell_cost"
"""A service that can take `CellEvent.cost` and `CellEvent.blocked_since`."""
LIMITS = "limits"
"""A service that can take `Outcome.limits`."""
CAUSE = "cause"
"""A service that can take `Outcome.cause`."""
CARRIED_FILES = "carried_files"
"""A runner that lays out what a version carries, and a service that can take where an attempt works."""
LATEST = "latest_artifact"
"""A service that finds the artifacts of other jobs."""
SERVICE_CAN = (CELL_COST, LIMITS, KERNEL_START, CAUSE, CARRIED_FILES, LATEST)
RUNNER_CAN = (CARRIED_FILES,)
PREEMPTED = "Preempted"
"""The error of an attempt whose runner was asked to end, so that another one continues."""
NOT_STARTED = "NotStarted"
"""The name of the error of an attempt that no runner took, whatever kept one from it; another is made."""
PLAN_CHANGED = "PlanChanged"
"""The error of an attempt in which a cell did otherwise than planned, so that what it reuses may be stale."""
ENVIRONMENT_MISSING = "EnvironmentMissing"
"""The error of an attempt whose version pins a build of its kernel that is not there."""
TERMINATED = "Terminated"
"""The error of an attempt whose runner was asked to end where no other can continue."""


def _nothing(value: Any) -> bool:
    return value is None


class RunnerVersion(Model):
    """What a runner says of itself when it claims its attempt; silence means the first version."""

    protocol: Whole = 1
    can: Many[str] = Field(default=[], max_length=100)
    """What it can, of what was not in the first version of the protocol."""

    @classmethod
    def own(cls) -> RunnerVersion:
        """Return what a runner of this version says."""
        return cls(protocol=PROTOCOL, can=list(RUNNER_CAN))


def check_protocol(runner: RunnerVersion) -> None:
    """Raise `Conflict` for a runner of a protocol that this service does not know."""
    if not 1 <= runner.protocol <= PROTOCOL:
        raise Conflict(
            f"the runner speaks protocol {runner.protocol}, and the service knows 1 to {PROTOCOL}: "
            "update the service, or start runners of its own version",
            protocol=runner.protocol,
        )


class ReusedCell(Model):
    """A cell whose outputs are taken from the run that is resumed."""

    index: int
    outputs: str | None
    execution_count: int | None
    seconds: float | None


class ResumeFrom(Model):
    """Where a resumed attempt starts."""

    first: int
    """Index of the first code cell after the restored state: it executes, and all after it."""
    rerun: list[int] = []
    """Cells above it that execute again before, in their order."""
    stale: list[str] = []
    """Variables that are removed before these run: cells that run make them anew."""
    bound: dict[str, int] = {}
    """By variable the first reused cell that was seen to bind it, where cells run again above others."""
    manifest: str | None
    """Digest of the checkpoint's manifest; None for an empty kernel."""
    blobs: list[str] = []
    reused: list[ReusedCell] = []
    predictions: list[Prediction] = []
    """Of the cells in `rerun`, while cells below them are reused."""
    again: list[int] = []
    """Reused cells that run again on restore, for session state that the state does not hold."""
    warnings: list[str] = []
    """What the plan says of its result, and the record of the run too: nobody sees the plan of a retry."""
    basis: str | None = None
    """The run whose states it starts from."""
    rerun_once: bool = False
    rerun_producers: bool = False
    strict: bool = False
    """What was agreed to when it was planned."""
    accepted: list[int] = []
    """Cells that are reused although the plan names a doubt: they run only when that is agreed again."""


class Reconsidered(Model):
    """What a plan that was made anew wants, while cells above the restored state run again."""

    rerun: list[int] = []
    """Cells above the restored state that are still to run, in their order."""
    forget: list[str] = []
    """Variables that are removed before they do."""
    predictions: list[Prediction] = []
    stop: str | None = None
    """Why the attempt cannot go on; None when it can."""


class LeftFile(Model):
    """A file that reused cells have left in the directory of their run."""

    path: str
    """Below that directory."""
    cell: Whole
    """Index of the cell that has written it last."""


class OwnDirectory(Model):
    """The directory of its own in which an attempt works, and what must lie there before it begins."""

    name: str
    """Of the directory: one for a run and all that go on from it."""
    files: Many[CarriedFile] = []
    """What the version carries."""
    bundle: str | None = None
    """Digest of the archive that holds it."""
    edited: Many[str] = []
    """Where it goes on from a state: paths of the files that are others than the run of that state had."""
    left: Many[LeftFile] = []
    """Where it does: what the cells above have left there. Without it they would have to run again."""


class Assignment(Model):
    """All that a runner needs to execute its attempt."""

    attempt: str
    run: str
    job: str
    version: int
    number: int
    """Which try at the run this is, from 1."""
    notebook: str
    """Digest of the version's notebook."""
    kernel: str
    lock: str | None = None
    """Hash of the build that the run is to use; None for the one that the kernel has now."""
    language: str
    directory: str | None
    own_directory: OwnDirectory | None = None
    """Where it works in place of `directory`, when the version carries files."""
    parameters: dict[str, Any]
    timeout_seconds: float | None
    cell_timeout_seconds: float | None
    blocked_after_seconds: float = BLOCKED_AFTER_SECONDS
    blocked_timeout_seconds: float | None = None
    keep_kernel_seconds: float = 0.0
    """How long the kernel is kept after a cell has failed, where the runner keeps kernels at all."""
    lease_seconds: float
    checkpoint_share: float = 0.03
    snapshot_memory_mb: int | None = None
    snapshot_fork: bool = True
    limits: KernelLimits = KernelLimits()
    resume: ResumeFrom | None = None
    artifacts: list[Artifact] = []
    """The latest of each name of the attempts before, and of the runs that this one goes on from."""
    protocol: int = 1
    """Of the service."""
    can: list[str] = []
    """What the service can, of what was not in the first version of the protocol."""


class ArtifactCommit(Model):
    """An artifact whose parts are all stored. Attempt and run are the committing ones, whatever it says."""

    artifact: Artifact


class ArtifactRequest(Model):
    """Another job's artifact that a cell asks for."""

    address: str
    """The job, of the run's own namespace, and the artifact's name, with `/` between them."""
    cell: Whole | None = None
    """The cell that asks."""


class HeartbeatAnswer(Model):
    """What the service wants of a runner that says it is alive."""

    command: Annotated[Literal["continue", "cancel"], OPEN] = "continue"
    """A runner goes on at one that it does not know: the service fences an attempt that must end."""
    store: bool = False
    """Whether somebody wants to look at the state before the running cell: it is stored where it is held."""


class CellEvent(Model):
    """A change of one cell. Later events for the same index replace earlier ones."""

    index: Whole
    cell_id: str
    state: CellState
    source_hash: str
    tags: Many[str] = []
    execution_count: Whole | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None
    outputs: str | None = None
    """Digest of a blob that was put before this event."""
    note: str | None = None
    evidence: Evidence | None = None
    """What the kernel saw of the cell while it ran."""
    cost: CellCost | None = Field(default=None, exclude_if=_nothing)
    blocked_since: datetime | None = Field(default=None, exclude_if=_nothing)
    """See `models.CellRecord`. Both are left out when they are None: an older service refuses what it does
    not know, so a runner gives them to one that can take `CELL_COST` alone."""


class CheckpointCommit(Model):
    """A checkpoint whose manifest and blobs are all stored."""

    checkpoint: Checkpoint
    blobs: Many[str]
    hash_seed: HashSeed | None = None
    """See `models.Attempt`."""
    directory: str | None = Field(default=None, exclude_if=_nothing)
    """See `models.Attempt`; only for a service that can take `CARRIED_FILES`."""


class Outcome(Model):
    """How an attempt ended."""

    state: Literal["succeeded", "failed", "timed_out", "cancelled", "lost"]
    error: CellError | None = None
    notebook: str | None = None
    """Digest of the executed notebook."""
    hash_seed: HashSeed | None = None
    """See `models.Attempt`."""
    limits: LimitRecord | None = Field(default=None, exclude_if=_nothing)
    """See `models.Attempt`; given to a service that can take `LIMITS` alone."""
    kernel_start: KernelStart | None = Field(default=None, exclude_if=_nothing)
    """See `models.Attempt`; only for a service that can take `KERNEL_START`."""
    directory: str | None = Field(default=None, exclude_if=_nothing)
    """See `models.Attempt`; only for a service that can take `CARRIED_FILES`."""
    cause: Cause | None = Field(default=None, exclude_if=_nothing)
    """Why an attempt failed, for a service that can take `CAUSE`: an error's name may be a class of the
    notebook's own. None leaves it to the name."""


class RunnerPort(Protocol):
    """The service as one runner sees it, bound to its attempt and token."""

    def claim(self, runner: RunnerVersion | None = None) -> Assignment:
        """Take the attempt: it becomes `running` and its lease starts. Only once.

        Raises `Conflict` for a second claim, and for a runner of a protocol that the service does not know.
        """

    def heartbeat(self) -> HeartbeatAnswer:
        """Renew the lease and learn what the service wants."""

    def record(self, events: list[CellEvent]) -> None:
        """Store cell events; all or none."""

    def reconsider(self, done: list[int]) -> Reconsidered:
        """Make the plan of a resumed attempt anew, with what was seen of the cells that ran again.

        Args:
            done: those of the cells above the restored state that have run, in their order.
        """

    def begin(self, skeleton: str, cells: list[CellEvent]) -> None:
        """Tell the parameterized notebook (a blob, outputs cleared) and its pending code cells."""

    def missing(self, digests: list[str]) -> list[str]:
        """Return those of `digests` that the run's namespace has not stored, whatever others have."""

    def put_blob(self, digest: str, source: bytes | Path) -> None:
        """Store bytes under their digest. Raises `Corrupt` when they do not match it."""

    def get_blob(self, digest: str) -> bytes:
        """Return a blob that this attempt may read: its notebook, outputs to reuse, checkpoint, artifacts."""

    def commit_checkpoint(self, commit: CheckpointCommit) -> None:
        """Make a checkpoint part of the run. Raises `InvalidInput` when a blob is missing."""

    def commit_artifact(self, commit: ArtifactCommit) -> None:
        """Make an artifact the latest of its name in the run; older ones than the one before are forgotten.

        One that is not newer than what is stored changes nothing. Raises `InvalidInput` when a part is
        missing or the run has too many names.
        """

    def latest_artifact(self, request: ArtifactRequest) -> Artifact:
        """Return what the newest successful run of another job kept; its name is the address.

        From then on it belongs to the run, which is given the same one whenever it asks again. Raises
        `NotFound` when there is none, `InvalidInput` for a job of another namespace.
        """

    def finish(self, outcome: Outcome) -> None:
        """End the attempt. The run becomes final, or is queued again by its retry policy."""

    def close(self) -> None:
        """Release connections."""
