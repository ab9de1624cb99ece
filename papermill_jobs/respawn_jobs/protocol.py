"""What passes between a runner and the service, and the interface that both sides keep.

A runner knows the service's URL, its attempt's id and its token, nothing else. The same interface is served
over HTTP (`respawn_jobs.remote`) and in-process (`respawn_jobs.ledger`); tests/contract holds both to it.
Every call raises `Fenced` once the attempt was replaced, finished or lost: the runner then stops at once.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from respawn_jobs.evidence import Evidence
from respawn_jobs.models import Artifact, CellError, CellState, Checkpoint, HashSeed, Model, Prediction
from respawn_jobs.wire import Many, Whole

DRAINED = "Drained"
"""The error of an attempt whose runner was told to end, so that another one goes on."""
NOT_STARTED = "NotStarted"
"""The name of the error of an attempt that no runner took, whatever kept one from it; another is made."""
PLAN_CHANGED = "PlanChanged"
"""The error of an attempt in which a cell did otherwise than planned, so that what it reuses may be stale."""
TERMINATED = "Terminated"
"""The error of an attempt whose runner was told to end where no other can go on."""


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
    manifest: str | None
    """Digest of the checkpoint's manifest; None for an empty kernel."""
    blobs: list[str] = []
    reused: list[ReusedCell] = []
    predictions: list[Prediction] = []
    """Of the cells in `rerun`, while cells below them are reused."""
    again: list[int] = []
    """Reused cells that run again on restore, for session state that the state does not hold."""
    said: list[str] = []
    """What the plan says of its result, and the record of the run too: nobody sees the plan of a retry."""
    basis: str | None = None
    """The run whose states it starts from."""
    rerun_once: bool = False
    rerun_makers: bool = False
    strict: bool = False
    """What was agreed to when it was planned."""
    accepted: list[int] = []
    """Cells that are reused although the plan told of a doubt: they run only when that is agreed anew."""


class Reconsidered(Model):
    """What a plan that was made anew wants, while cells above the restored state run again."""

    rerun: list[int] = []
    """Cells above the restored state that are still to run, in their order."""
    forget: list[str] = []
    """Variables that are removed before they do."""
    predictions: list[Prediction] = []
    stop: str | None = None
    """Why the attempt cannot go on; None when it can."""


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
    language: str
    directory: str | None
    parameters: dict[str, Any]
    timeout_seconds: float | None
    cell_timeout_seconds: float | None
    lease_seconds: float
    checkpoint_share: float = 0.03
    snapshot_memory_mb: int | None = None
    snapshot_fork: bool = True
    resume: ResumeFrom | None = None
    artifacts: list[Artifact] = []
    """The latest of each name of the attempts before, and of the runs that this one goes on from."""


class ArtifactCommit(Model):
    """An artifact whose parts are all stored. Attempt and run are the committing ones, whatever it says."""

    artifact: Artifact


class HeartbeatAnswer(Model):
    """What the service wants of a runner that says it is alive."""

    command: Literal["continue", "cancel"] = "continue"


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


class CheckpointCommit(Model):
    """A checkpoint whose manifest and blobs are all stored."""

    checkpoint: Checkpoint
    blobs: Many[str]
    hash_seed: HashSeed | None = None
    """See `models.Attempt`."""


class Outcome(Model):
    """How an attempt ended."""

    state: Literal["succeeded", "failed", "timed_out", "cancelled", "lost"]
    error: CellError | None = None
    notebook: str | None = None
    """Digest of the executed notebook."""
    hash_seed: HashSeed | None = None
    """See `models.Attempt`."""


class RunnerPort(Protocol):
    """The service as one runner sees it, bound to its attempt and token."""

    def claim(self) -> Assignment:
        """Take the attempt: it becomes `running` and its lease starts. Only once."""

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

    def finish(self, outcome: Outcome) -> None:
        """End the attempt. The run becomes final, or is queued again by its retry policy."""

    def close(self) -> None:
        """Release connections."""
