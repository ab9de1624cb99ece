"""Changes of schedules: what was due before makes its run as before, and nothing is made twice."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs import schedules
from respawn_jobs.access import Actor
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.ledger import audit, scheduling
from respawn_jobs.ledger.context import Context, find_version
from respawn_jobs.ledger.convert import ref_of, schedule_of
from respawn_jobs.ledger.limits import CRON, ZONE, check_text
from respawn_jobs.ledger.runs import check_parameters
from respawn_jobs.ledger.schedule_checks import check_once
from respawn_jobs.models import Schedule
from respawn_jobs.service_versions import ScheduleChange
from respawn_jobs.store.tables import JobRow, ScheduleRow


def change(context: Context, actor: Actor, schedule_id: str, wanted: ScheduleChange) -> Schedule:
    """Change a schedule; see `VersionService.change_schedule`.

    What was due before the change makes its run as the schedule was; after it, only times of the new one.
    """
    now = context.clock()
    with context.database.session(write=True) as session:
        row, job = scheduling.find(session, actor, schedule_id, "edit")
        # After the schedule's row, as the scheduler does: two changes take turns on the job.
        session.get_one(JobRow, job.id, with_for_update=True)
        changed = _changed(session, job, row, wanted)
        if not changed:
            return schedule_of(row, job)
        times = {"cron", "tz"} & changed.keys()
        if times:
            schedules.next_fires(changed.get("cron", row.cron), changed.get("tz", row.tz), now, 1)
        if changed.keys() & {"cron", "tz", "parameters"}:
            check_once(session, job, {**_columns(row), **changed}, but=row.id)
        _settle_due(context, session, row)
        for name, value in changed.items():
            setattr(row, name, value)
        if times or "paused" in changed:
            row.next_due = None if row.paused else schedules.next_fires(row.cron, row.tz, now, 1)[0]
            row.decided_until = now
        _write(context, session, actor, job, row, changed)
        session.flush()
        session.expire(row)
        return schedule_of(row, job)


def _columns(row: ScheduleRow) -> dict[str, Any]:
    return {"cron": row.cron, "tz": row.tz, "parameters": row.parameters}


def _changed(session: Session, job: JobRow, row: ScheduleRow, wanted: ScheduleChange) -> dict[str, Any]:
    """Return the columns that get another value."""
    given = wanted.model_dump(exclude_none=True)
    if wanted.cron is not None:
        check_text("cron expression", wanted.cron, CRON)
    if wanted.tz is not None:
        check_text("time zone", wanted.tz, ZONE)
    if wanted.parameters is not None:
        given["parameters"] = check_parameters(find_version(session, job), wanted.parameters)
    return {name: value for name, value in given.items() if value != getattr(row, name)}


def _settle_due(context: Context, session: Session, row: ScheduleRow) -> None:
    """Let a schedule make the runs that it owes, which no loop has come by for yet."""
    now = context.clock()
    try:
        while scheduling.is_due(session, row, now):
            with session.begin_nested():
                scheduling.queue_owed(context, session, row, now)
    except InvalidInput:  # it cannot be read, and this change may mend that
        return
    except IntegrityError as error:
        raise Conflict(f"{row.id} made a run at the same moment; try again", schedule=row.id) from error


def _write(
    context: Context, session: Session, actor: Actor, job: JobRow, row: ScheduleRow, changed: dict[str, Any]
) -> None:
    """Leave the audit records: pausing has its own, as long as there are schedules."""
    if "paused" in changed:
        action = "pause" if row.paused else "unpause"
        audit.write(context, session, actor.name, action, job.namespace, row.id, job=ref_of(job))
    rest = sorted(changed.keys() - {"paused"})
    if rest:
        audit.write(
            context, session, actor.name, "change_schedule", job.namespace, row.id,
            job=ref_of(job), changed=rest, cron=row.cron, tz=row.tz,
        )  # fmt: skip
