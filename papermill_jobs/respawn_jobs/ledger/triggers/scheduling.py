"""Schedules, and the runs that they make due.

Each due time makes one run: in one transaction, which locks the schedule, it moves on, and the run is
inserted, only if there is none for that instant. Of times that were missed while nothing ran, the schedule's
`missed` tells which make a run. A time is missed when it is not decided within `GRACE`.

`next_due` says when to look; what is due then is computed anew from `decided_until`. So a zone whose rules
change meanwhile moves the times that are to come, and none is made twice.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from respawn_jobs import cron
from respawn_jobs.access import Action, Actor
from respawn_jobs.api.service import ScheduleRequest
from respawn_jobs.errors import InvalidInput, NotFound, Unavailable
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import at_work, check_not_archived
from respawn_jobs.ledger.context.context import Context, find_job, find_version
from respawn_jobs.ledger.context.text_limits import CRON, ZONE, check_text
from respawn_jobs.ledger.runs.rows import ref_of, schedule_of
from respawn_jobs.ledger.runs.run_parameters import check_parameters
from respawn_jobs.ledger.triggers import trigger_run
from respawn_jobs.ledger.triggers.schedule_checks import check_once
from respawn_jobs.ledger.triggers.trigger_run import TriggerEvent
from respawn_jobs.model.jobs import Schedule
from respawn_jobs.model.kernels import ForeseenRun, WantedKernel
from respawn_jobs.store.tables import JobRow, RunRow, ScheduleRow, VersionRow

logger = logging.getLogger(__name__)
_BY = "respawn:scheduler"
"""Who the audit trail names when nobody asked for a change."""
GRACE = timedelta(seconds=60)
"""How late a loop may come by, a failover included, without a due time counting as missed."""
_MAX_ASIDE = 5000
"""How many schedules one call looks at in vain; a query takes so many names."""
_ZONE_CHANGE = timedelta(hours=3)
"""How much earlier a time may come to be than was computed, when the zone's rules change; times further back
were decided by the rules before."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 100
"""How many runs one transaction makes of missed times; the next makes more."""


def schedule(context: Context, actor: Actor, request: ScheduleRequest) -> Schedule:
    """Add a schedule to a job; see `Service.schedule`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        request: the job, the cron expression and the time zone, the parameters, and what becomes of missed
            runs.

    Raises:
        InvalidInput: cron expression, zone or parameters cannot be used.
        NotFound, Forbidden: see `find_job`.
        Conflict: the job is archived.
    """
    now = context.clock()
    check_text("cron expression", request.cron, CRON)
    check_text("time zone", request.tz, ZONE)
    with context.database.session(write=True) as session:
        job = find_job(session, actor, request.job, "edit")
        check_not_archived(job)
        first = cron.next_fires(request.cron, request.tz, now, 1)[0]
        session.get_one(JobRow, job.id, with_for_update=True)  # who adds the same at this moment takes a turn
        row = ScheduleRow(
            id=new_id("sch"),
            job_id=job.id,
            cron=request.cron,
            tz=request.tz,
            paused=False,
            missed=request.missed,
            max_missed=request.max_missed,
            parameters=check_parameters(find_version(session, job), request.parameters),
            next_due=first,
            decided_until=now,
            created_by=actor.name,
            created_at=now,
        )
        check_once(session, job, {"cron": row.cron, "tz": row.tz, "parameters": row.parameters})
        session.add(row)
        trail.write(
            context, session, actor.name, "schedule", job.namespace, row.id,
            job=ref_of(job), cron=row.cron, tz=row.tz,
        )  # fmt: skip
        session.flush()
        session.expire(row)
        return schedule_of(row, job)


def unschedule(context: Context, actor: Actor, schedule_id: str) -> None:
    """Remove a schedule; its runs stay.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        schedule_id: id of the schedule.

    Raises:
        NotFound, Forbidden: see `find`.
    """
    with context.database.session(write=True) as session:
        row, job = find(session, actor, schedule_id, "edit")
        session.delete(row)
        trail.write(
            context, session, actor.name, "unschedule", job.namespace, schedule_id,
            job=ref_of(job), cron=row.cron, tz=row.tz,
        )  # fmt: skip


def queue_due(context: Context) -> list[str]:
    """Queue a run for every schedule that is due, and return the runs' ids.

    A schedule that can no longer be read, because its zone is gone from the time zone data for instance, is
    paused. One that makes trouble is logged and tried again by the next call; it holds up no other.
    """
    now = context.clock()
    queued: list[str] = []
    aside: list[str] = []
    while len(aside) < _MAX_ASIDE and (taken := _queue_next(context, now, aside)) is not None:
        queued += taken
    return queued


def _queue_next(context: Context, now: datetime, aside: list[str]) -> list[str] | None:
    """Queue what one due schedule owes that no replica has in hand, but for those that are set aside.

    Returns its runs; None when nothing is due. It is set aside, so that the others have their turn, when it
    made trouble or owes more than one transaction makes.
    """
    with context.database.session(write=True) as session:
        query = _active().where(ScheduleRow.next_due <= now, ScheduleRow.id.not_in(aside))
        row = session.scalar(query.order_by(ScheduleRow.next_due).limit(1).with_for_update(skip_locked=True))
        if row is None:
            return None
        schedule_id = row.id
        try:
            with session.begin_nested():
                runs = queue_owed(context, session, row, now)
                if row.next_due is None or row.next_due <= now:
                    aside.append(schedule_id)
                return runs
        except IntegrityError:
            # Race: a run for such an instant was inserted by hand or by a replica of an earlier version.
            logger.warning("%s made a run of this time before; it is looked at again", schedule_id)
        except InvalidInput as error:
            _pause_unreadable(context, session, row, error.message)
        except (Unavailable, OperationalError):
            raise
        except Exception:  # whatever one schedule holds, the others must be on time
            logger.exception("%s could not be queued", schedule_id)
        aside.append(schedule_id)
        return []


def next_due(context: Context) -> datetime | None:
    """Return when the next schedule is due; None when none is active."""
    query = _active().where(ScheduleRow.next_due.is_not(None)).with_only_columns(ScheduleRow.next_due)
    with context.database.session() as session:
        return session.scalar(query.order_by(ScheduleRow.next_due).limit(1))


def foreseen(context: Context, until: datetime, limit: int) -> list[ForeseenRun]:
    """Return the runs that schedules will make, in the order in which they are due.

    Args:
        context: the ledger's surroundings.
        until: up to which time, in UTC.
        limit: how many runs at most.
    """
    version = (VersionRow.job_id == JobRow.id) & (VersionRow.number == JobRow.version)
    query = (
        select(JobRow.namespace, VersionRow.kernel, VersionRow.lock, JobRow.settings)
        .select_from(ScheduleRow)
        .join(JobRow, JobRow.id == ScheduleRow.job_id)
        .join(VersionRow, version)
        .where(*_at_work(), ScheduleRow.next_due <= until)
        .order_by(ScheduleRow.next_due, ScheduleRow.id)
        .limit(limit)
    )
    with context.database.session() as session:
        found = session.execute(query)
        return [
            ForeseenRun(namespace, WantedKernel(name, lock), settings.get("profile"))
            for namespace, name, lock, settings in found
        ]


def take_back(context: Context) -> int:
    """Let schedules that were decided for a time that is yet to come fire from now, and return how many.

    For a clock that was ahead and was set back: until it comes by these times again, which may take a year,
    nothing would be due. Those that have made a run make no second one.
    """
    now = context.clock()
    with context.database.session() as session:
        ahead = session.scalars(
            _active().where(ScheduleRow.decided_until > now + GRACE).with_only_columns(ScheduleRow.id)
        ).all()
    return sum(_take_back(context, schedule_id, now) for schedule_id in ahead)


def skip_missed(context: Context, session: Session) -> int:
    """Let no active schedule make up for what came due until now, and return how many owed something."""
    now = context.clock()
    owing = session.scalars(_active().where(ScheduleRow.next_due <= now).with_for_update()).all()
    for row in owing:
        try:
            row.next_due = cron.next_fires(row.cron, row.tz, now, 1)[0]
        except InvalidInput:  # it is paused, with the reason, when it comes due
            row.next_due = now
        row.decided_until = now
    return len(owing)


def _take_back(context: Context, schedule_id: str, now: datetime) -> bool:
    with context.database.session(write=True) as session:
        row = session.scalar(
            _active()
            .where(ScheduleRow.id == schedule_id, ScheduleRow.decided_until > now + GRACE)
            .with_for_update(skip_locked=True)
        )
        if row is None:
            return False
        try:
            row.next_due = cron.next_fires(row.cron, row.tz, now, 1)[0]
        except InvalidInput:  # it is paused, with the reason, when it comes due
            row.next_due = now
        row.decided_until = now
        return True


def queue_owed(context: Context, session: Session, row: ScheduleRow, now: datetime) -> list[str]:
    """Queue what a schedule, which the session has locked, owes by `now`, and move it on.

    Args:
        context: the ledger's surroundings.
        session: the transaction that has locked the schedule.
        row: the schedule.
        now: the time now, in UTC.
    """
    if row.next_due is None:
        return []
    since = max(row.decided_until or _LONG_AGO, row.next_due - _ZONE_CHANGE)
    due = _owed(row, since, now)
    now_due, rest = due[:_BATCH], due[_BATCH:]
    decided = now_due[-1] if rest else max(now, since)
    following = rest[0] if rest else cron.next_fires(row.cron, row.tz, decided, 1)[0]
    row.decided_until, row.next_due = decided, following
    session.flush()
    if now_due:
        # Before the first run, whose key on its job would stand between two schedules of one job: a deadlock.
        session.get_one(JobRow, row.job_id, with_for_update=True)
    before = _made_before(session, row.id, now_due)
    made = (_insert(context, session, row, due_at) for due_at in now_due if due_at not in before)
    return [run_id for some in made for run_id in some]


def _owed(row: ScheduleRow, since: datetime, now: datetime) -> list[datetime]:
    """Return the due times after `since` that make a run now, oldest first."""
    most = row.max_missed if row.missed == "all" else 1
    due = cron.latest_fires(row.cron, row.tz, since, now, most)
    return [fire for fire in due if now - fire < GRACE] if row.missed == "skip" else due


def _pause_unreadable(context: Context, session: Session, row: ScheduleRow, reason: str) -> None:
    row.paused, row.next_due = True, None
    job = session.get_one(JobRow, row.job_id)
    trail.write(context, session, _BY, "pause", job.namespace, row.id, job=ref_of(job), reason=reason)
    logger.error("%s of %s is paused: %s", row.id, ref_of(job), reason)


def _made_before(session: Session, schedule_id: str, times: list[datetime]) -> set[datetime]:
    """Return those times that made their run: a clock that was set back comes by the same times again."""
    query = select(RunRow.due_at).where(RunRow.schedule_id == schedule_id, RunRow.due_at.in_(times))
    return {due_at for due_at in session.scalars(query) if due_at is not None}


def _insert(context: Context, session: Session, row: ScheduleRow, due_at: datetime) -> list[str]:
    """Make the run of a due time; empty when it was made before."""
    job = session.get_one(JobRow, row.job_id)
    event = TriggerEvent(
        "schedule", row.id, due_at.isoformat(), row.created_by, row.parameters,
        logical_date=due_at,
        columns={"schedule_id": row.id, "due_at": due_at},
    )  # fmt: skip
    run = trigger_run.queue(context, session, job, event)
    return [] if run is None else [run.id]


def _active() -> Select[ScheduleRow]:
    return select(ScheduleRow).where(*_at_work())


def _at_work() -> tuple[ColumnElement[bool], ...]:
    return ScheduleRow.paused.is_(False), at_work(ScheduleRow.job_id)


def is_due(session: Session, row: ScheduleRow, now: datetime) -> bool:
    """Return whether a schedule owes a run by `now`.

    Args:
        session: the caller's transaction.
        row: the schedule.
        now: the time now, in UTC.
    """
    query = _active().where(ScheduleRow.id == row.id, ScheduleRow.next_due <= now)
    return session.scalar(query.with_only_columns(ScheduleRow.id)) is not None


def find(session: Session, actor: Actor, schedule_id: str, action: Action) -> tuple[ScheduleRow, JobRow]:
    """Find a schedule, which is locked, and its job. Raises `NotFound`, or `Forbidden` naming whose it is.

    Args:
        session: the caller's transaction; it writes.
        actor: who asks.
        schedule_id: id of the schedule.
        action: what the actor must be allowed to do in the job's namespace.
    """
    query = select(ScheduleRow).where(ScheduleRow.id == check_text("schedule", schedule_id))
    row = session.scalar(query.with_for_update())
    if row is None:
        raise NotFound(f"there is no schedule {schedule_id}", schedule=schedule_id)
    job = session.get_one(JobRow, row.job_id)
    actor.require(action, job.namespace, schedule_id)
    return row, job
