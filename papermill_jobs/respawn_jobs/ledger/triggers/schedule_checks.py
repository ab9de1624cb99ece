"""That a job has each schedule once: two alike would make two runs at each due time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs import cron
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.store.tables import JobRow, ScheduleRow


def check_once(session: Session, job: JobRow, wanted: dict[str, Any], *, but: str | None = None) -> None:
    """Raise `Conflict` when a job, which the session has locked, has another schedule like this one.

    Args:
        session: the session that has locked the job.
        job: the job.
        wanted: the columns `cron`, `tz` and `parameters`.
        but: the id of the schedule that is changed.
    """
    its = select(ScheduleRow).where(ScheduleRow.job_id == job.id, ScheduleRow.tz == wanted["tz"])
    for other in session.scalars(its.order_by(ScheduleRow.created_at, ScheduleRow.id)):
        if other.id == but or other.parameters != wanted["parameters"]:
            continue
        # One that cannot be read any more is paused when it comes due.
        if not cron.same_times(wanted["cron"], other.cron):
            continue
        paused = ", which is paused" if other.paused else ""
        raise Conflict(
            f"{ref_of(job)} has that schedule already: {other.id}, {other.cron!r} in {other.tz}{paused}, by "
            f"{other.created_by}. Each due time would make two runs; change that one, or give other "
            "parameters",
            job=ref_of(job),
            schedule=other.id,
        )
