"""The tables. Times are aware UTC; JSON columns hold what the wire types in `models` hold.

A run's cells and checkpoints are kept per attempt number. Number 0 is what a resumed run takes over from
the run before it, written when it is queued, so that nothing is lost if no attempt of it ever begins.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    String,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = JSON(none_as_null=True)
WAITING = "lower(state) = 'queued' AND coalesce(current, '') = '' AND not_before IS NULL"
"""Runs that may start now, spelled as in their partial index; the functions keep SQLite from other ones."""
DELAYED = "lower(state) = 'queued' AND not_before IS NOT NULL"


class Utc(TypeDecorator[datetime]):
    """An aware UTC instant; SQLite keeps it without its zone and gets it back with it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; hand SQLite, which has no zones, the UTC clock time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What all tables share."""

    type_annotation_map = {datetime: Utc(), dict[str, Any]: Json, list[Any]: Json, int: BigInteger()}


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


class VersionRow(Base):
    """An immutable notebook of a job."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("job_id", "number", name="versions_number_once"),
        Index("versions_of_notebook", "notebook"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    number: Mapped[int]
    notebook: Mapped[str] = mapped_column(String(64))
    kernel: Mapped[str] = mapped_column(String(255))
    language: Mapped[str] = mapped_column(String(80))
    lock: Mapped[str | None] = mapped_column(String(128))
    directory: Mapped[str | None]
    git: Mapped[dict[str, Any] | None]
    parameters: Mapped[list[Any]]
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    parent: Mapped[int | None]


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
    missed_most: Mapped[int] = mapped_column(default=100, server_default="100")
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class RunRow(Base):
    """One execution of one version. `schedule_id` is no foreign key: runs outlive their schedule."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("schedule_id", "due_at", name="runs_due_once"),
        UniqueConstraint("resume_of", name="runs_resumed_once"),
        Index("runs_triggered_once", "trigger_id", "trigger_key", unique=True),
        Index("runs_of_job", "job_id", "created_at"),
        Index("runs_of_job_in_state", "job_id", "state", "created_at"),
        Index("runs_of_period", "job_id", "logical_at"),
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
    """That of its job, which never changes: lists of runs are found by it."""
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
    trigger_key: Mapped[str | None] = mapped_column(String(255))
    """What of its trigger made the run, so that it makes one: a due time, a period, a call, an object."""
    logical_at: Mapped[datetime] = mapped_column(server_default="1970-01-01 00:00:00")
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
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int] = mapped_column(default=0)
    turned: Mapped[int] = mapped_column(default=0, server_default="0")
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
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    made_in: Mapped[str] = mapped_column(String(32))
    """The run that saved it: another one, where attempt is 0."""
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
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


class NamespaceBlobRow(Base):
    """A blob whose bytes came from this namespace, so that its runners may name it."""

    __tablename__ = "namespace_blobs"
    __table_args__ = (Index("namespace_blobs_of_digest", "digest"),)

    namespace: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)


class BlobRow(Base):
    """A blob that is stored, or about to be: one row for each digest, locked by writers and the collector.

    Nobody may name a blob that is `removing`; whoever is told that a blob is there has touched it first.
    """

    __tablename__ = "blobs"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    touched_at: Mapped[datetime] = mapped_column(index=True)
    removing: Mapped[bool] = mapped_column(default=False)


class AfterRow(Base):
    """A rule: a job runs after others, once for each period."""

    __tablename__ = "after"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), unique=True)
    """A job has one rule at most."""
    needs: Mapped[str] = mapped_column(String(8))
    """`all` or `any` of the upstream jobs."""
    waits_for: Mapped[str] = mapped_column(String(16))
    """`success`, or `end` for failures too."""
    period: Mapped[str] = mapped_column(String(8))
    tz: Mapped[str] = mapped_column(String(80))
    parameters: Mapped[dict[str, Any]]
    sources: Mapped[dict[str, Any]]
    """Parameters that are taken from upstream runs."""
    paused: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class AfterJobRow(Base):
    """A job that a rule waits for."""

    __tablename__ = "after_jobs"

    after_id: Mapped[str] = mapped_column(ForeignKey("after.id"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True, index=True)


class HookRow(Base):
    """A webhook that makes runs of a job. Its secret is derived, not kept: see `ledger.hooks`."""

    __tablename__ = "hooks"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    salt: Mapped[str] = mapped_column(String(64))
    parameters: Mapped[dict[str, Any]]
    accepts: Mapped[list[Any]]
    """Names of the parameters that a call may give."""
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class HookCallRow(Base):
    """A signature that a hook has accepted: it is accepted once."""

    __tablename__ = "hook_calls"

    hook_id: Mapped[str] = mapped_column(ForeignKey("hooks.id"), primary_key=True)
    signature: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)


class WatchRow(Base):
    """A prefix of the inbox; each object that appears under it makes a run."""

    __tablename__ = "watches"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    prefix: Mapped[str] = mapped_column(String(1024))
    parameter: Mapped[str | None] = mapped_column(String(255))
    """The parameter that is given the object's address."""
    parameters: Mapped[dict[str, Any]]
    next_look: Mapped[datetime] = mapped_column(index=True)
    said: Mapped[str | None]
    """What kept the last look from its end."""
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class WatchedRow(Base):
    """An object that a watch has seen; `fired` once it has made its run, or was there before the watch."""

    __tablename__ = "watched"

    watch_id: Mapped[str] = mapped_column(ForeignKey("watches.id"), primary_key=True)
    name_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    mark: Mapped[str] = mapped_column(String(255))
    """Its ETag, or size and time: it has settled when two looks see the same."""
    fired: Mapped[bool]


class BackfillRow(Base):
    """Runs of a job for a range of dates or a list of parameter sets; made in order, as places come free."""

    __tablename__ = "backfills"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    """`active`, `stopped` or `done`."""
    about: Mapped[str]
    """Its range or its sets, in words."""
    parallel: Mapped[int]
    total: Mapped[int]
    made: Mapped[int] = mapped_column(default=0)
    """How many of its runs were made so far."""
    items: Mapped[list[Any]]
    """For each run its logical date and its parameters."""
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class RunEndRow(Base):
    """An ended run that one of the service's loops has yet to act on; written when the run ends."""

    __tablename__ = "run_ends"

    consumer: Mapped[str] = mapped_column(String(16), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime]


class NoticeRow(Base):
    """Something that people are told: written once, sent with others of its job, then kept for a while."""

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("key", name="notices_once"),
        Index("notices_of_job", "job_id", "channel", "kind"),
        Index("notices_of_run", "run_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255))
    """What it is about, such as `failure:<run>:<channel>`: each is told once."""
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    channel: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    """`failure`, `recovery` or `deadline`."""
    run_id: Mapped[str | None] = mapped_column(String(32))
    at: Mapped[datetime]
    details: Mapped[dict[str, Any]]
    not_before: Mapped[datetime]
    """When it is sent at the earliest: later for those that wait for others, or for another try."""
    claimed_until: Mapped[datetime | None]
    """Until when the replica that sends it has it for itself."""
    tries: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(index=True)
    said: Mapped[str | None]
    """What kept it from being sent."""


class SpentRow(Base):
    """An occasion whose run is no longer kept: it makes no other. For triggers that may look at it again."""

    __tablename__ = "spent"

    trigger_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    trigger_key: Mapped[str] = mapped_column(String(255), primary_key=True)


class LimitRow(Base):
    """How many runs may run at once in a namespace, for a user or in a queue; name `*` for each of a kind."""

    __tablename__ = "limits"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    most: Mapped[int]
    set_by: Mapped[str] = mapped_column(String(255))
    set_at: Mapped[datetime]


class ReplicaRow(Base):
    """A process of the service, as it last said of itself."""

    __tablename__ = "replicas"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)
    places: Mapped[int]
    """How many runs it may execute at once."""
    busy: Mapped[int]
    draining: Mapped[bool] = mapped_column(default=False)
    health: Mapped[dict[str, Any]]


class AuditRow(Base):
    """Who did what. Each record's hash covers the one before it."""

    __tablename__ = "audit"
    __table_args__ = (
        UniqueConstraint("previous", name="audit_one_chain"),
        Index("audit_of_subject", "subject", "seq"),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(32))
    namespace: Mapped[str] = mapped_column(String(255), index=True)
    subject: Mapped[str] = mapped_column(String(255))
    details: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHeadRow(Base):
    """The end of the audit chain, one row: writers queue up on it, and a cut-off tail is noticed."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
