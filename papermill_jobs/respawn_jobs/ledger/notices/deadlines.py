"""Deadlines: a job that was due and has not succeeded in time is reported, once for each day.

What counts is the latest run that came due in the 24 hours before the deadline, whatever made it, backfills
and imports apart; and the latest time of a schedule that made no run at all. A deadline that passed while no
service ran is looked at when one runs again; of several days, the latest alone.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from respawn_jobs import cron
from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.ledger.capacity.suspension import at_work, locked_job
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.notices.run_notices import add, described
from respawn_jobs.ledger.runs.rows import ref_of, run_of
from respawn_jobs.logs import about
from respawn_jobs.model.notices import Notice
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.model.settings import Deadline, JobSettings
from respawn_jobs.store.tables import JobRow, RunRow, ScheduleRow

logger = logging.getLogger(__name__)
_PERIOD = timedelta(days=1)
_NOT_DUE = ("backfill", "import")
_MANY = 100
SKIPPED = "Skipped"
"""Name of the error of a run that the overlap policy did not let start."""


def settings_changed(context: Context, job: JobRow, before: JobSettings | None) -> None:
    """Check who is notified of a job, and when; called where its settings change, in that transaction.

    What stays as it was is not checked again: an administrator may have removed a channel since. A deadline
    that stays is not moved.

    Args:
        context: the ledger's surroundings.
        job: the job, with its new settings.
        before: the settings that it had; None for a new job.

    Raises:
        InvalidInput: a channel is unknown or not for this namespace, a deadline has nobody to tell, or its
            time zone is unknown.
    """
    settings = JobSettings.model_validate(job.settings)
    old = before or JobSettings()
    if settings.notify != old.notify:
        context.channels.check(settings.notify, job.namespace)
    if settings.deadline is None:
        job.next_deadline = None
        return
    if not settings.notify:
        raise InvalidInput(
            f"a deadline at {settings.deadline.time} has nobody to tell: name a channel in `notify`",
            deadline=settings.deadline.time,
        )
    if settings.deadline != old.deadline or job.next_deadline is None:
        job.next_deadline = next_deadline(settings.deadline, context.clock())


def next_deadline(deadline: Deadline, after: datetime) -> datetime:
    """Return the next deadline strictly after an instant, in UTC. Raises `InvalidInput` for an unknown zone.

    Around a change of clocks it is as schedules are: a time that does not exist comes right after the gap,
    one that exists twice comes once.
    """
    return cron.next_fires(_cron(deadline), deadline.tz, after, 1)[0].astimezone(UTC)


def check_due(context: Context) -> list[str]:
    """Look at every job whose deadline has passed, and return the names of those that missed it.

    A job that makes trouble is logged and looked at again by the next call; it holds up no other.
    """
    now = context.clock()
    query = select(JobRow.id).where(JobRow.next_deadline <= now, at_work(JobRow.id))
    query = query.order_by(JobRow.next_deadline).limit(_MANY)
    with context.database.session() as session:
        due = session.scalars(query).all()
    missed = []
    for job_id in due:
        try:
            name = _look(context, job_id)
        except Unavailable:
            raise
        except InvalidInput as error:
            logger.warning("%s has no deadline any more: %s", job_id, error.message)
            _drop(context, job_id)
        except Exception:  # whatever one job holds, the others' deadlines must be looked at
            logger.exception("the deadline of %s could not be looked at", job_id)
        else:
            missed += [name] if name else []
    return missed


def next_due(context: Context) -> datetime | None:
    """Return when the next deadline passes; None when there is none."""
    with context.database.session() as session:
        return session.scalar(select(func.min(JobRow.next_deadline)).where(at_work(JobRow.id)))


def _look(context: Context, job_id: str) -> str | None:
    """Look at one job's deadline and move it on; return the job's name when it was missed."""
    with context.database.session(write=True) as session:
        job, now = locked_job(session, job_id), context.clock()
        deadline = JobSettings.model_validate(job.settings).deadline
        if deadline is None or job.next_deadline is None or job.next_deadline > now:
            return None  # another replica was quicker, or the settings changed
        just_before = job.next_deadline - timedelta(seconds=1)
        # None when new zone data made the time that was kept another one.
        fires = cron.latest_fires(_cron(deadline), deadline.tz, just_before, now, 1)
        passed = fires[0] if fires else job.next_deadline
        job.next_deadline = next_deadline(deadline, now)
        with about(job=ref_of(job)):
            notice = _missed(context, session, job, deadline, passed)
            if notice is None:
                return None
            logger.info("%s did not finish by %s: %s", ref_of(job), deadline.time, notice.doing)
            add(context, session, job, "deadline", f"deadline:{job.id}:{passed.isoformat()}", notice)
        return ref_of(job)


def _missed(
    context: Context, session: Session, job: JobRow, deadline: Deadline, passed: datetime
) -> Notice | None:
    """Return what to tell of a deadline; None when it was kept, or nothing was due."""
    start = passed - _PERIOD
    run = _latest(session, job, start, passed)
    skipped = _time_without_run(session, job, start, passed, run.logical_date if run else None)
    if skipped is not None:
        doing = f"no run was made for {skipped.astimezone(ZoneInfo(deadline.tz)):%H:%M}: the service was down"
        return Notice(doing=doing, deadline=passed, tz=deadline.tz)
    if run is None or (
        run.state == RunState.SUCCEEDED.value and run.finished_at and run.finished_at <= passed
    ):
        return None
    notice = described(context, session, run, deadline.tz)
    return notice.model_copy(
        update={"deadline": passed, "doing": _doing(run_of(session, run, context), notice)}
    )


def _latest(session: Session, job: JobRow, start: datetime, passed: datetime) -> RunRow | None:
    """Return the latest run that came due in a period, those apart that the job's overlap policy skipped."""
    query = (
        select(RunRow)
        .where(RunRow.job_id == job.id, RunRow.logical_date >= start, RunRow.logical_date < passed)
        .where(RunRow.trigger.not_in(_NOT_DUE))
        .where(RunRow.error["name"].as_string().is_distinct_from(SKIPPED))
        .order_by(RunRow.logical_date.desc(), RunRow.created_at.desc())
    )
    return session.scalar(query.limit(1))


def _time_without_run(
    session: Session, job: JobRow, start: datetime, passed: datetime, latest: datetime | None
) -> datetime | None:
    """Return the latest time of a schedule in the period that made no run, when it is later than all runs.

    A schedule that has moved on past a time without a run was paused then, unless it skips what it missed.
    """
    query = select(ScheduleRow).where(ScheduleRow.job_id == job.id, ScheduleRow.paused.is_(False))
    found: datetime | None = None
    for row in session.scalars(query):
        begin = max(start - timedelta(seconds=1), row.created_at)
        fires = cron.latest_fires(row.cron, row.tz, begin, passed - timedelta(seconds=1), 1)
        if not fires:
            continue
        fire = fires[0]
        handled = row.next_due is not None and row.next_due > fire and row.missed != "skip"
        if not handled and fire > max(latest or start, found or start):
            found = fire
    return found


def _doing(run: Run, notice: Notice) -> str:
    """Return what a job that missed its deadline is doing."""
    if run.state is RunState.RUNNING:
        cells = (
            f", cell {min(run.cells_done + 1, run.cells_total)} of {run.cells_total}"
            if run.cells_total
            else ""
        )
        return f"running{cells}"
    if run.state is RunState.QUEUED:
        return f"queued: {run.waiting}" if run.waiting else "queued"
    if run.state is RunState.SUSPENDED:
        return run.waiting or "suspended"
    if run.state is RunState.SUCCEEDED:
        return "it succeeded only afterwards"
    name = run.state.value.replace("_", " ")
    return f"{name}: {notice.error}" if notice.error else name


def _cron(deadline: Deadline) -> str:
    hour, minute = deadline.time.split(":")
    return f"{int(minute)} {int(hour)} * * *"


def _drop(context: Context, job_id: str) -> None:
    with context.database.session(write=True) as session:
        locked_job(session, job_id).next_deadline = None
