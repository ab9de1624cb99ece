"""Changes of schedules: what was due before makes its run as before, and nothing is made twice."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs import cron
from respawn_jobs.access import Actor
from respawn_jobs.api.versions import ScheduleChange
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.context.context import Context, find_version
from respawn_jobs.ledger.context.text_limits import CRON, ZONE, check_text
from respawn_jobs.ledger.runs.rows import ref_of, schedule_of
from respawn_jobs.ledger.runs.run_parameters import check_parameters
from respawn_jobs.ledger.triggers import scheduling
from respawn_jobs.ledger.triggers.schedule_checks import check_once
from respawn_jobs.model.jobs import Schedule
from respawn_jobs.store.tables import JobRow, ScheduleRow


def change(context: Context, actor: Actor, schedule_id: str, wanted: ScheduleChange) -> Schedule:
    """Change a schedule; see `VersionService.change_schedule`.

    What was due before the change makes its run as the schedule was; after it, only times of the new one.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        schedule_id: id of the schedule.
        wanted: what changes; None of a field leaves it.

    Raises:
        NotFound, Forbidden: see `scheduling.find`.
        InvalidInput: cron expression, zone or parameters cannot be used.
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
            cron.next_fires(changed.get("cron", row.cron), changed.get("tz", row.tz), now, 1)
        if changed.keys() & {"cron", "tz", "parameters"}:
            check_once(session, job, {**_columns(row), **changed}, but=row.id)
        _settle_due(context, session, row)
        for name, value in changed.items():
            setattr(row, name, value)
        if times or "paused" in changed:
            row.next_due = None if row.paused else cron.next_fires(row.cron, row.tz, now, 1)[0]
            row.decided_until = now
        _write(context, session, actor, job, row, changed)
        session.flush()
        session.expire(row)
        return schedule_of(row, job)


def _columns(row: ScheduleRow) -> dict[str, Any]:
    return {"cron": row.cron, "tz": row.tz, "parameters": row.parameters}


def _changed(session: Session, job: JobRow, row: ScheduleRow, wanted: ScheduleChange) -> dict[str, Any]:
    """Return the columns that get another value."""
    given = wanted.model_dump(exclude_none=True, exclude={"keep"})
    if wanted.cron is not None:
        check_text("cron expression", wanted.cron, CRON)
    if wanted.tz is not None:
        check_text("time zone", wanted.tz, ZONE)
    if wanted.parameters is not None:
        kept = {name: row.parameters[name] for name in wanted.keep if name in row.parameters}
        given["parameters"] = check_parameters(find_version(session, job), {**kept, **wanted.parameters})
    return {name: value for name, value in given.items() if value != getattr(row, name)}


def _settle_due(context: Context, session: Session, row: ScheduleRow) -> None:
    """Let a schedule make the runs that it owes, which no loop has come by for yet."""
    now = context.clock()
    try:
        while scheduling.is_due(session, row, now):
            with session.begin_nested():
                scheduling.queue_owed(context, session, row, now)
    except InvalidInput:  # it cannot be read, and this change may fix that
        return
    except IntegrityError as error:
        raise Conflict(f"{row.id} made a run at the same moment; try again", schedule=row.id) from error


def _write(
    context: Context, session: Session, actor: Actor, job: JobRow, row: ScheduleRow, changed: dict[str, Any]
) -> None:
    """Leave the audit records: pausing has its own, as long as there are schedules."""
    if "paused" in changed:
        action = "pause" if row.paused else "unpause"
        trail.write(context, session, actor.name, action, job.namespace, row.id, job=ref_of(job))
    rest = sorted(changed.keys() - {"paused"})
    if rest:
        trail.write(
            context, session, actor.name, "change_schedule", job.namespace, row.id,
            job=ref_of(job), changed=rest, cron=row.cron, tz=row.tz,
        )  # fmt: skip
