"""Tables of the service: ends to act on, people to tell, limits, replicas, migrations that were applied."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from respawn_jobs.store.columns import Base


class RunOutboxRow(Base):
    """An ended run that one of the service's loops has yet to act on; written when the run ends."""

    __tablename__ = "run_outbox"

    consumer: Mapped[str] = mapped_column(String(16), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime]


class NoticeRow(Base):
    """A notice to people: written once, sent with others of its job, then kept for a while."""

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("key", name="notices_once"),
        Index("notices_of_job", "job_id", "channel", "kind"),
        Index("notices_of_run", "run_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255))
    """What it is about, such as `failure:<run>:<channel>`: each makes one notice."""
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    channel: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    """`failure`, `recovery`, `deadline` or `suspended`."""
    run_id: Mapped[str | None] = mapped_column(String(32))
    at: Mapped[datetime]
    details: Mapped[dict[str, Any]]
    not_before: Mapped[datetime]
    """When it is sent at the earliest: later for those that wait for others, or for another try."""
    claimed_until: Mapped[datetime | None]
    """Until when the replica that sends it has it for itself."""
    tries: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(index=True)
    error: Mapped[str | None]
    """What kept it from being sent."""


class LimitRow(Base):
    """How many runs may run at once in a namespace, for a user or in a queue; name `*` for each of a kind."""

    __tablename__ = "limits"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    max_running: Mapped[int]
    set_by: Mapped[str] = mapped_column(String(255))
    set_at: Mapped[datetime]


class BackupRow(Base):
    """A backup that is being made: until then no blob is removed, for it copies what its snapshot names."""

    __tablename__ = "backups"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    started_at: Mapped[datetime]
    until: Mapped[datetime]
    """It renews this while it lives."""


class NamespaceRow(Base):
    """Whose a namespace is, and whether it is at work; one without a row is, and belongs to its name."""

    __tablename__ = "namespaces"

    namespace: Mapped[str] = mapped_column(String(255), primary_key=True)
    identity: Mapped[str | None] = mapped_column(String(64), index=True)
    """The hub's identity of its owner, as `service_namespaces.HubIdentity`; None where it is not known."""
    state: Mapped[str] = mapped_column(String(16), index=True)
    """`active`, `suspended` or `retired`."""
    reason: Mapped[str | None]
    since: Mapped[datetime | None]
    """Since when it is not active."""
    former: Mapped[str | None] = mapped_column(String(255))
    """What it was called before it was set aside."""
    audit_from: Mapped[int] = mapped_column(default=0)
    """Audit records with lower numbers are of an earlier owner."""


class ReplicaRow(Base):
    """A process of the service, as it last reported itself."""

    __tablename__ = "replicas"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)
    slots: Mapped[int]
    """How many runs it may execute at once."""
    busy: Mapped[int]
    draining: Mapped[bool] = mapped_column(default=False)
    health: Mapped[dict[str, Any]]
    release: Mapped[str] = mapped_column(String(16))
    """The release of its code: no migration may take from it what it needs."""


class LeaderRow(Base):
    """The replica that does something for all of them, until it is silent."""

    __tablename__ = "leaders"

    task: Mapped[str] = mapped_column(String(32), primary_key=True)
    replica: Mapped[str] = mapped_column(String(32))
    address: Mapped[str] = mapped_column(String(255))
    """Where the other replicas reach it."""
    until: Mapped[datetime]


class JobServerRow(Base):
    """A server that was asked of the hub for an account's jobs; one at most for each of their profiles."""

    __tablename__ = "job_servers"
    __table_args__ = (UniqueConstraint("account", "profile", name="job_servers_once"),)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Its name at the hub, among the account's servers."""
    account: Mapped[str] = mapped_column(String(255))
    """The hub's user whose server it is."""
    profile: Mapped[str] = mapped_column(String(32), default="", server_default="")
    """The profile that it is started with; empty for none."""
    nonce_hash: Mapped[str | None] = mapped_column(String(64))
    """Of what it registers with, once; None when it has."""
    key_hash: Mapped[str | None] = mapped_column(String(64))
    """Of what it proves itself with after that."""
    kept: Mapped[list[Any] | None]
    """The kernels of failed runs that live on there, as it has reported them last."""
    requested_at: Mapped[datetime]


class UnwantedServerRow(Base):
    """A job server that was given up, and that the hub has yet to stop."""

    __tablename__ = "unwanted_servers"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    account: Mapped[str] = mapped_column(String(255))


class ServerKernelsRow(Base):
    """The kernels that an account's job servers of a profile have, as one of them said it last."""

    __tablename__ = "server_kernels"

    account: Mapped[str] = mapped_column(String(255), primary_key=True)
    profile: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Empty for servers that are started with none."""
    kernels: Mapped[list[Any]]
    """Each as a `ServerKernel`."""
    seen_at: Mapped[datetime]


class MissingPlaceRow(Base):
    """Why runs of a namespace and profile have no place, as the executor said last; gone when they have."""

    __tablename__ = "missing_places"

    namespace: Mapped[str] = mapped_column(String(255), primary_key=True)
    profile: Mapped[str] = mapped_column(String(32), primary_key=True, default="", server_default="")
    """That of the settings of their jobs; empty where these say nothing."""
    message: Mapped[str]


class SchemaVersionRow(Base):
    """A migration that the database has had, for code that does not know it; see `store.schema`."""

    __tablename__ = "schema_versions"

    revision: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    """`expand` or `contract`."""
    release: Mapped[str] = mapped_column(String(16))
    """The first release that has it."""
    oldest: Mapped[str] = mapped_column(String(16))
    """The oldest release that may use the database since."""
    applied_at: Mapped[datetime]
