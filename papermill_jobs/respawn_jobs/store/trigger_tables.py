"""Tables of what makes runs, but for schedules: dependencies, webhooks, sensors, backfills."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from respawn_jobs.store.columns import Base


class DependencyRow(Base):
    """A job runs after others, once for each period."""

    __tablename__ = "dependencies"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), unique=True)
    """A job has one dependency at most."""
    trigger_rule: Mapped[str] = mapped_column(String(16))
    """One of `api.triggers.TriggerRule`."""
    period: Mapped[str] = mapped_column(String(8))
    tz: Mapped[str] = mapped_column(String(80))
    parameters: Mapped[dict[str, Any]]
    sources: Mapped[dict[str, Any]]
    """Parameters that are taken from upstream runs."""
    paused: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class UpstreamJobRow(Base):
    """A job that a dependency waits for."""

    __tablename__ = "dependency_upstreams"

    dependency_id: Mapped[str] = mapped_column(ForeignKey("dependencies.id"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True, index=True)


class HookRow(Base):
    """A webhook that makes runs of a job. Its secret is derived, not kept: see `ledger.hooks`."""

    __tablename__ = "hooks"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    salt: Mapped[str] = mapped_column(String(64))
    key: Mapped[str | None] = mapped_column(String(16))
    """Id of the service's key that its secret is derived from; None: of the first."""
    parameters: Mapped[dict[str, Any]]
    accepts: Mapped[list[Any]]
    """Names of the parameters that a call may give."""
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class HookCallRow(Base):
    """A message that a hook has taken: it is taken once."""

    __tablename__ = "hook_calls"

    hook_id: Mapped[str] = mapped_column(ForeignKey("hooks.id"), primary_key=True)
    message_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)


class SensorRow(Base):
    """A prefix of the inbox; each object that appears under it makes a run."""

    __tablename__ = "sensors"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    prefix: Mapped[str] = mapped_column(String(1024))
    parameter: Mapped[str | None] = mapped_column(String(255))
    """The parameter that is given the object's address."""
    parameters: Mapped[dict[str, Any]]
    next_poke: Mapped[datetime] = mapped_column(index=True)
    message: Mapped[str | None]
    """What kept the last poke from its end."""
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class SensorObjectRow(Base):
    """An object that a sensor has seen; `fired` once it has made its run, or was there before the sensor."""

    __tablename__ = "sensor_objects"

    sensor_id: Mapped[str] = mapped_column(ForeignKey("sensors.id"), primary_key=True)
    name_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    mark: Mapped[str] = mapped_column(String(255))
    """Its ETag, or size and time: it has settled when two pokes see the same."""
    fired: Mapped[bool]


class BackfillRow(Base):
    """Runs of a job for a range of dates or a list of parameter sets; made in order, as slots come free."""

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


class TombstoneRow(Base):
    """A trigger event whose run is no longer kept: it makes no other. For triggers that may meet it again."""

    __tablename__ = "tombstones"

    trigger_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(255), primary_key=True)
