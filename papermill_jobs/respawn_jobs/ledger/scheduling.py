"""Schedules, and the runs that they make due.

Each due time makes one run: in one transaction, which locks the schedule, it moves on, and the run is
inserted, only if there is none for that instant. Of times that were missed while nothing ran, the schedule's
`missed` tells which make a run. A time is missed when it is not decided within `GRACE`.

`next_due` says when to look; what is due then is computed anew from `decided_until`. So a zone whose rules
change meanwhile moves the times that are to come, and none is made twice.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs import schedules
from respawn_jobs.access import Action, Actor
from respawn_jobs.errors import InvalidInput, NotFound, Unavailable
from respawn_jobs.ids import new_id
from respawn_jobs.ledger import audit
from respawn_jobs.ledger.context import Context, find_job, find_version
from respawn_jobs.ledger.convert import ref_of, schedule_of
from respawn_jobs.ledger.ends import note_end
from respawn_jobs.ledger.limits import CRON, ZONE, check_text
from respawn_jobs.ledger.runs import check_parameters, new_run
from respawn_jobs.models import CellError, RunState, Schedule
from respawn_jobs.service import ScheduleRequest
from respawn_jobs.store.tables import JobRow, RunRow, ScheduleRow

logger = logging.getLogger(__name__)
_BY = "respawn:scheduler"
"""Who the audit trail names when nobody asked for a change."""
GRACE = timedelta(seconds=60)
"""How late a loop may come by, a failover included, without a due time counting as missed."""
_BATCH = 100
"""How many runs one transaction makes of missed times; the next makes more."""


def schedule(context: Context, actor: Actor, request: ScheduleRequest) -> Schedule:
    """Add a schedule to a job; see `Service.schedule`."""
    now = context.clock()
    check_text("cron expression", request.cron, CRON)
    check_text("time zone", request.tz, ZONE)
    with context.database.session(write=True) as session:
        job = find_job(session, actor, request.job, "edit")
        first = schedules.next_fires(request.cron, request.tz, now, 1)[0]
        row = ScheduleRow(
            id=new_id("sch"),
            job_id=job.id,
            cron=request.cron,
            tz=request.tz,
            paused=False,
            missed=request.missed,
            missed_most=request.missed_most,
            parameters=check_parameters(find_version(session, job), request.parameters),
            next_due=first,
            decided_until=now,
            created_by=actor.name,
            created_at=now,
        )
        session.add(row)
        audit.write(
            context, session, actor.name, "schedule", job.namespace, row.id,
            job=ref_of(job), cron=row.cron, tz=row.tz,
        )  # fmt: skip
        session.flush()
        session.expire(row)
        return schedule_of(row, job)


def pause(context: Context, actor: Actor, schedule_id: str, *, paused: bool) -> Schedule:
    """Pause a schedule or let it go on from now; what was due meanwhile is not made up for."""
    with context.database.session(write=True) as session:
        row, job = _find(session, actor, schedule_id, "edit")
        if row.paused != paused:
            row.paused = paused
            now = context.clock()
            row.next_due = None if paused else schedules.next_fires(row.cron, row.tz, now, 1)[0]
            row.decided_until = now
            action = "pause" if paused else "unpause"
            audit.write(context, session, actor.name, action, job.namespace, row.id, job=ref_of(job))
            session.flush()
            session.expire(row)
        return schedule_of(row, job)


def unschedule(context: Context, actor: Actor, schedule_id: str) -> None:
    """Remove a schedule; its runs stay."""
    with context.database.session(write=True) as session:
        row, job = _find(session, actor, schedule_id, "edit")
        session.delete(row)
        audit.write(
            context, session, actor.name, "unschedule", job.namespace, schedule_id,
            job=ref_of(job), cron=row.cron, tz=row.tz,
        )  # fmt: skip


def queue_due(context: Context) -> list[str]:
    """Queue a run for every schedule that is due, and return the runs' ids.

    A schedule that can no longer be read, because its zone is gone from the time zone data for instance, is
    paused. One that makes trouble is logged and tried again by the next call; it holds up no other.
    """
    now = context.clock()
    with context.database.session() as session:
        due = session.scalars(
            _active().where(ScheduleRow.next_due <= now).order_by(ScheduleRow.next_due)
        ).all()
    queued: list[str] = []
    for row in due:
        try:
            queued += _queue(context, row.id, row.next_due, now)
        except IntegrityError:
            # Race: another replica inserted a run for such an instant, and moves the schedule on itself.
            continue
        except InvalidInput as error:
            _pause_unreadable(context, row.id, row.next_due, error.message)
            continue
        except Unavailable:
            raise
        except Exception:  # whatever one schedule holds, the others must be on time
            logger.exception("%s could not be queued", row.id)
            continue
    return queued


def next_due(context: Context) -> datetime | None:
    """Return when the next schedule is due; None when none is active."""
    with context.database.session() as session:
        query = select(func.min(ScheduleRow.next_due)).where(ScheduleRow.paused.is_(False))
        return session.scalar(query)


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
            row.next_due = schedules.next_fires(row.cron, row.tz, now, 1)[0]
        except InvalidInput:  # it is paused, and that is said, when it comes due
            row.next_due = now
        row.decided_until = now
        return True


def _queue(context: Context, schedule_id: str, was_due: datetime | None, now: datetime) -> list[str]:
    with context.database.session(write=True) as session:
        row = session.scalar(
            _active()
            .where(ScheduleRow.id == schedule_id, ScheduleRow.next_due == was_due)
            .with_for_update(skip_locked=True)
        )
        if row is None or row.next_due is None:
            return []
        since = row.decided_until or row.next_due - timedelta(microseconds=1)
        due = _owed(row, since, now)
        now_due, rest = due[:_BATCH], due[_BATCH:]
        decided = now_due[-1] if rest else max(now, since)
        following = rest[0] if rest else schedules.next_fires(row.cron, row.tz, decided, 1)[0]
        row.decided_until, row.next_due = decided, following
        session.flush()
        before = _made_before(session, row.id, now_due)
        return [_insert(context, session, row, due_at) for due_at in now_due if due_at not in before]


def _owed(row: ScheduleRow, since: datetime, now: datetime) -> list[datetime]:
    """Return the due times after `since` that make a run now, oldest first."""
    most = row.missed_most if row.missed == "all" else 1
    due = schedules.latest_fires(row.cron, row.tz, since, now, most)
    return [fire for fire in due if now - fire < GRACE] if row.missed == "skip" else due


def _pause_unreadable(context: Context, schedule_id: str, was_due: datetime | None, reason: str) -> None:
    with context.database.session(write=True) as session:
        row = session.scalar(
            _active().where(ScheduleRow.id == schedule_id, ScheduleRow.next_due == was_due).with_for_update()
        )
        if row is None:
            return
        row.paused, row.next_due = True, None
        job = session.get_one(JobRow, row.job_id)
        audit.write(context, session, _BY, "pause", job.namespace, row.id, job=ref_of(job), reason=reason)
    logger.error("%s of %s is paused: %s", schedule_id, ref_of(job), reason)


def _made_before(session: Session, schedule_id: str, times: list[datetime]) -> set[datetime]:
    """Return those times that made their run: a clock that was set back comes by the same times again."""
    query = select(RunRow.due_at).where(RunRow.schedule_id == schedule_id, RunRow.due_at.in_(times))
    return {due_at for due_at in session.scalars(query) if due_at is not None}


def _insert(context: Context, session: Session, row: ScheduleRow, due_at: datetime) -> str:
    job = session.get_one(JobRow, row.job_id)
    version = find_version(session, job)
    run = new_run(
        context, session, job, version, row.created_by, "schedule",
        parameters=row.parameters,
        schedule_id=row.id,
        due_at=due_at,
        trigger_id=row.id,
        trigger_key=due_at.isoformat(),
        lock=context.lock_now(version.kernel, version.lock),
    )  # fmt: skip
    try:
        check_parameters(version, row.parameters)
    except InvalidInput as error:
        # A newer version no longer takes these parameters: the time was due, so a run says what is wrong.
        run.state, run.finished_at = RunState.FAILED.value, run.created_at
        run.error = CellError(cell=None, name="InvalidInput", value=error.message).model_dump(mode="json")
        note_end(context, session, run)
    return run.id


def _active() -> Select[ScheduleRow]:
    return select(ScheduleRow).where(ScheduleRow.paused.is_(False))


def _find(session: Session, actor: Actor, schedule_id: str, action: Action) -> tuple[ScheduleRow, JobRow]:
    query = select(ScheduleRow).where(ScheduleRow.id == check_text("schedule", schedule_id))
    row = session.scalar(query.with_for_update())
    if row is None:
        raise NotFound(f"there is no schedule {schedule_id}", schedule=schedule_id)
    job = session.get_one(JobRow, row.job_id)
    actor.require(action, job.namespace, schedule_id)
    return row, job
