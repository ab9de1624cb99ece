"""The tables. Times are aware UTC; JSON columns hold what the wire types in `models` hold.

A run's cells and checkpoints are kept per attempt number. Number 0 is what a resumed run takes over from
the run before it, written when it is queued, so that nothing is lost if no attempt of it ever begins.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from respawn_jobs.store import service_tables, trigger_tables  # noqa: F401  one schema with these
from respawn_jobs.store.columns import Base

WAITING = "lower(state) = 'queued' AND coalesce(current, '') = '' AND not_before IS NULL"
"""Runs that may start now, spelled as in their partial index; the functions keep SQLite from other ones."""
DELAYED = "lower(state) = 'queued' AND not_before IS NOT NULL"


class JobRow(Base):
    """A named notebook in a namespace."""

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("namespace", "name", name="jobs_name_once"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    namespace: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(80))
    version: Mapped[int]
    settings: Mapped[dict[str, Any]]
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    last_run: Mapped[str | None] = mapped_column(String(32))
    next_deadline: Mapped[datetime | None] = mapped_column(index=True)
    """When its runs must have succeeded, next; None without a deadline."""
    filed: Mapped[int | None]
    """The version that the promoted file held when it was last promoted; None where that is not known."""
    numbered: Mapped[int | None]
    """The highest number that a version of it had, once that one was removed: no number is used twice."""
    archived_at: Mapped[datetime | None]
    archived_by: Mapped[str | None] = mapped_column(String(255))


class FormerNameRow(Base):
    """A name that a job had; it leads to the job until another one takes it."""

    __tablename__ = "former_names"

    namespace: Mapped[str] = mapped_column(String(255), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)


class VersionRow(Base):
    """An immutable notebook of a job."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("job_id", "number", name="versions_number_once"),
        Index("versions_of_notebook", "notebook"),
        Index("versions_of_bundle", "bundle"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    number: Mapped[int]
    notebook: Mapped[str] = mapped_column(String(64))
    kernel: Mapped[str] = mapped_column(String(255))
    language: Mapped[str] = mapped_column(String(80))
    lock: Mapped[str | None] = mapped_column(String(128))
    directory: Mapped[str | None]
    source: Mapped[str | None]
    git: Mapped[dict[str, Any] | None]
    parameters: Mapped[list[Any]]
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    parent: Mapped[int | None]
    authors: Mapped[list[Any] | None]
    """Whose code it holds beside its creator's; None for nobody else's. See `ledger.authors`."""
    files: Mapped[list[Any] | None]
    """What it carries, as `models.CarriedFile`; None for a version whose runs work where its notebook lay."""
    bundle: Mapped[str | None] = mapped_column(String(64))
    """Digest of the archive of these files."""


class ScheduleRow(Base):
    """A cron expression that makes runs of a job due; `next_due` is None while it is paused."""

    __tablename__ = "schedules"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    cron: Mapped[str] = mapped_column(String(255))
    tz: Mapped[str] = mapped_column(String(80))
    paused: Mapped[bool]
    parameters: Mapped[dict[str, Any]]
    next_due: Mapped[datetime | None] = mapped_column(index=True)
    decided_until: Mapped[datetime | None]
    """Of due times up to here it is decided whether they make a run; None: of those before `next_due`."""
    missed: Mapped[str] = mapped_column(String(8), default="latest", server_default="latest")
    max_missed: Mapped[int] = mapped_column(default=100, server_default="100")
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class RunRow(Base):
    """One execution of one version. `schedule_id` is no foreign key: runs outlive their schedule."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("schedule_id", "due_at", name="runs_due_once"),
        UniqueConstraint("resume_of", name="runs_resumed_once"),
        Index("runs_triggered_once", "trigger_id", "idempotency_key", unique=True),
        Index("runs_of_job", "job_id", "created_at"),
        Index("runs_of_job_in_state", "job_id", "state", "created_at"),
        Index("runs_of_version", "version_id", "created_at"),
        Index("runs_of_period", "job_id", "logical_date"),
        Index("runs_in_state", "state", "created_at"),
        Index("runs_of_namespace", "namespace", "created_at"),
        Index("runs_of_namespace_in_state", "namespace", "state", "created_at"),
        Index("runs_of_notebook", "notebook"),
        Index("runs_of_skeleton", "skeleton"),
        Index(
            "runs_waiting",
            *("priority", "created_by", "job_id", "queue", "created_at", "id"),
            sqlite_where=text(WAITING),
            postgresql_where=text(WAITING),
        ),
        Index("runs_delayed", "not_before", sqlite_where=text(DELAYED), postgresql_where=text(DELAYED)),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    namespace: Mapped[str] = mapped_column(String(255), default="", server_default="")
    """That of its job: lists of runs are found by it. The two change together; see `ledger.namespaces`."""
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"))
    version: Mapped[int]
    kernel: Mapped[str] = mapped_column(String(255))
    lock: Mapped[str | None] = mapped_column(String(128))
    settings: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16))
    parameters: Mapped[dict[str, Any]]
    trigger: Mapped[str] = mapped_column(String(16))
    schedule_id: Mapped[str | None] = mapped_column(String(32))
    due_at: Mapped[datetime | None]
    trigger_id: Mapped[str | None] = mapped_column(String(32))
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    """What of its trigger made the run, so that it makes one: a due time, a period, a call, an object."""
    logical_date: Mapped[datetime] = mapped_column(server_default="1970-01-01 00:00:00")
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    queue: Mapped[str] = mapped_column(String(64), default="default", server_default="default")
    not_before: Mapped[datetime | None]
    pinned: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(index=True)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(default=0)
    current: Mapped[str | None] = mapped_column(String(32), index=True)
    """The attempt that may act for the run; None while it waits for one."""
    cells_total: Mapped[int] = mapped_column(default=0)
    cells_done: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, Any] | None]
    notebook: Mapped[str | None] = mapped_column(String(64))
    skeleton: Mapped[str | None] = mapped_column(String(64))
    """Digest of the parameterized notebook without outputs, once it is known."""
    origin: Mapped[str | None] = mapped_column(String(32), index=True)
    resume_of: Mapped[str | None] = mapped_column(String(32))
    resume_from: Mapped[int | None]
    resume: Mapped[dict[str, Any] | None]
    """Where its first attempt starts, as `ResumeFrom`; None: at the top."""
    retry: Mapped[dict[str, Any] | None]
    """Where its next attempt starts, when that is further down: what the attempts before it have left."""
    imported: Mapped[dict[str, Any] | None]
    """Where a run that came in an archive is from: see `models.Imported`."""
    authors: Mapped[list[Any] | None]
    """Whose code has made its state, through all runs that it goes on from; None where an older version
    of Respawn made it: then those who made it and its version."""
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int] = mapped_column(default=0)
    state_revision: Mapped[int] = mapped_column(default=0, server_default="0")
    """The revision at which its state last changed, or a cancel was asked for; cells change it oftener."""


class AttemptRow(Base):
    """One try at a run. Only the hash of its token is kept."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("run_id", "number", name="attempts_number_once"),
        Index("attempts_of_notebook", "notebook"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), index=True)
    executor: Mapped[str] = mapped_column(String(32))
    profile: Mapped[str | None] = mapped_column(String(32))
    """The profile of the job server that executes it; None where there is none."""
    replica: Mapped[str | None] = mapped_column(String(32))
    cause: Mapped[str | None] = mapped_column(String(16))
    """Why it ended without success; see `policies.Cause`."""
    note: Mapped[str | None]
    """What followed: another try and from where, or why there is none."""
    token_hash: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    lease_until: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
    notebook: Mapped[str | None] = mapped_column(String(64))
    hash_seed: Mapped[str | None] = mapped_column(String(16))
    """See `models.Attempt`."""
    limits: Mapped[dict[str, Any] | None]
    """How its kernel was held to its limits, as `models.LimitRecord`."""
    kernel_start: Mapped[dict[str, Any] | None]
    """See `models.Attempt`."""
    directory: Mapped[str | None]
    """See `models.Attempt`."""
    state_wanted: Mapped[bool] = mapped_column(default=False)
    """Whether its runner is to be asked for the state before the cell that runs."""


class CellRow(Base):
    """One code cell of one attempt."""

    __tablename__ = "cells"
    __table_args__ = (Index("cells_of_outputs", "outputs"),)

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    cell_id: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    source_hash: Mapped[str] = mapped_column(String(64))
    tags: Mapped[list[Any]]
    execution_count: Mapped[int | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    seconds: Mapped[float | None]
    outputs: Mapped[str | None] = mapped_column(String(64))
    note: Mapped[str | None]
    parameters_hash: Mapped[str | None] = mapped_column(String(64))
    lock: Mapped[str | None] = mapped_column(String(128))
    """Under which parameters and kernel environment it ran; None for a cell that has not run."""
    evidence: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    """What was seen of it, as `CellEvidence`; only plans, archives and debug notebooks ask for it."""
    cost: Mapped[dict[str, Any] | None]
    """What it took of its machine, as `CellCost`."""
    blocked_since: Mapped[datetime | None]


class CheckpointRow(Base):
    """The state just after a cell, of one attempt."""

    __tablename__ = "checkpoints"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    cell: Mapped[int] = mapped_column(primary_key=True)
    manifest: Mapped[str] = mapped_column(String(64))
    variables: Mapped[int]
    size: Mapped[int]
    new_bytes: Mapped[int]
    seconds: Mapped[float]
    unstored: Mapped[list[Any]]
    unchecked: Mapped[list[Any] | None]
    """None where an older version wrote it."""
    blobs: Mapped[list[Any]]


class CheckpointBlobRow(Base):
    """A blob, or a manifest, that a run's checkpoints name: an index over what `checkpoints` holds."""

    __tablename__ = "checkpoint_blobs"
    __table_args__ = (Index("checkpoint_blobs_of_digest", "digest"),)

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)


class ArtifactRow(Base):
    """What a notebook kept under a name; `number` counts the saves under it. The two newest of each stay."""

    __tablename__ = "artifacts"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(450), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    made_in: Mapped[str] = mapped_column(String(32), index=True)
    """The run that saved it: another one, where attempt is 0 or the name is an address."""
    cell: Mapped[int | None]
    kind: Mapped[str] = mapped_column(String(32))
    type: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(String(255))
    file: Mapped[str] = mapped_column(String(255))
    size: Mapped[int]
    saved_at: Mapped[datetime]
    meta: Mapped[dict[str, Any]]
    parts: Mapped[list[Any]]


class ArtifactBlobRow(Base):
    """A part of an artifact: an index over what `artifacts` holds; it tells which parts nothing names."""

    __tablename__ = "artifact_blobs"
    __table_args__ = (Index("artifact_blobs_of_artifact", "run_id", "name", "number"),)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(450), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


class NamespaceBlobRow(Base):
    """A blob whose bytes came from this namespace, so that its runners may name it."""

    __tablename__ = "namespace_blobs"
    __table_args__ = (
        Index("namespace_blobs_of_digest", "digest"),
        Index("namespace_blobs_sizes", "namespace", "size"),
    )

    namespace: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int] = mapped_column(default=0, server_default="0")
    """Bytes, which count for the namespace's quota."""


class BlobRow(Base):
    """A blob that is stored, or about to be: one row for each digest, locked by writers and the collector.

    Nobody may name a blob that is `removing`; whoever learns that a blob is there has touched it first.
    """

    __tablename__ = "blobs"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    touched_at: Mapped[datetime] = mapped_column(index=True)
    removing: Mapped[bool] = mapped_column(default=False)


class AuditRow(Base):
    """Who did what. Each record's hash covers the one before it."""

    __tablename__ = "audit"
    __table_args__ = (
        UniqueConstraint("previous", name="audit_one_chain"),
        Index("audit_of_subject", "subject", "seq"),
        Index("audit_of_namespace", "namespace", "seq"),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(32))
    namespace: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    details: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    key: Mapped[str | None] = mapped_column(String(16))
    """Id of the key that signed it; None for records from before there was one."""
    mac: Mapped[str | None] = mapped_column(String(64))
    """HMAC-SHA256 of the hash with that key, which is not in the database."""


class AuditHeadRow(Base):
    """The end of the audit chain, one row: writers queue up on it, and a cut-off tail is noticed."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
