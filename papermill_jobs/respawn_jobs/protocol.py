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
from respawn_jobs.models import Artifact, CellError, CellState, Checkpoint, HashSeed, Model

DRAINED = "Drained"
"""The error of an attempt whose runner was told to end, so that another one goes on."""
NOT_STARTED = "NotStarted"
"""The name of the error of an attempt that no runner took, whatever kept one from it; another is made."""
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

    index: int
    cell_id: str
    state: CellState
    source_hash: str
    tags: list[str] = []
    execution_count: int | None = None
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
    blobs: list[str]
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
