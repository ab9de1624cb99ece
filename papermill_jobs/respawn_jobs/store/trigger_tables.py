"""Tables of what makes runs, but for schedules: rules, webhooks, watches, backfills."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from respawn_jobs.store.columns import Base


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
    key: Mapped[str | None] = mapped_column(String(16))
    """Id of the service's key that its secret is derived from; None: of the first."""
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


class SpentRow(Base):
    """An occasion whose run is no longer kept: it makes no other. For triggers that may look at it again."""

    __tablename__ = "spent"

    trigger_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    trigger_key: Mapped[str] = mapped_column(String(255), primary_key=True)
