"""Runs that no person asked for: made once for each trigger event, recorded as failed when they cannot run.

Schedules, dependencies, webhooks, sensors and backfills make their runs here, so that the same holds for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger.capacity.suspension import locked_job
from respawn_jobs.ledger.context.context import Context, find_version
from respawn_jobs.ledger.context.job_places import place_of
from respawn_jobs.ledger.runs.outbox import note_end
from respawn_jobs.ledger.runs.queries import new_run
from respawn_jobs.ledger.runs.run_parameters import misfit, with_due
from respawn_jobs.ledger.triggers import overlap
from respawn_jobs.model.runs import CellError, RunState, Trigger
from respawn_jobs.notebook import parameter_values
from respawn_jobs.store.tables import JobRow, RunRow
from respawn_jobs.store.trigger_tables import TombstoneRow


@dataclass(frozen=True)
class TriggerEvent:
    """What makes a run; the same trigger and key make one run, however often it comes."""

    trigger: Trigger
    trigger_id: str
    """The schedule, dependency, hook, sensor or backfill."""
    idempotency_key: str
    """What of it: a due time, a period, a call, an object. At most 255 characters."""
    by: str
    """Who made the trigger."""
    parameters: Mapping[str, Any]
    logical_date: datetime | None = None
    """The run's logical date; None for the present moment."""
    problem: str | None = None
    """Why the run cannot be executed; it is recorded as failed with these words."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """More of the run's columns, such as `due_at`."""


def queue(context: Context, session: Session, job: JobRow, event: TriggerEvent) -> RunRow | None:
    """Insert the run of a trigger event, with the job's newest version.

    Parameters that do not fit that version make a run that failed and says so: the event was there, and
    whoever looks for its run must find one. Other runs meet the job's overlap policy, a backfill's apart.

    Args:
        context: the ledger's surroundings.
        session: the caller's transaction, which locks the job; it writes.
        job: the job.
        event: the event.

    Returns:
        The run; None when the event made its run before, here or in another replica, kept or not, and
        where the job was archived since the trigger was looked at.
    """
    job = locked_job(session, job.id)
    if job.archived_at is not None:
        return None
    if made(session, event.trigger_id, event.idempotency_key) is not None:
        return None
    if session.get(TombstoneRow, (event.trigger_id, event.idempotency_key)) is not None:
        return None
    version = find_version(session, job)
    logical_date = event.logical_date or context.clock()
    given = with_due(version, dict(event.parameters), logical_date)
    problem = event.problem or misfit(version, given)
    if problem is None and event.trigger != "backfill":  # which waits for its own places
        problem = context.quotas.waiting_problem(session, job.namespace)
    columns = {
        "trigger_id": event.trigger_id,
        "idempotency_key": event.idempotency_key,
        "logical_date": logical_date,
        "lock": context.lock_for(version.kernel, version.lock, place_of(job)),
        "parameters": given if problem is None else _storable(given),
        **event.columns,
    }
    try:
        with session.begin_nested():
            run = new_run(context, session, job, version, event.by, event.trigger, **columns)
    except IntegrityError:
        # Race: another replica has inserted the run of this event since the look above.
        if made(session, event.trigger_id, event.idempotency_key) is None:
            raise
        return None
    if problem is not None:
        fail(context, session, run, problem)
    elif event.trigger != "backfill":
        overlap.admit(context, session, job, run)
    return run


def made(session: Session, trigger_id: str, key: str) -> RunRow | None:
    """Return the run that an event made before.

    Args:
        session: the caller's transaction.
        trigger_id: id of the trigger.
        key: the event's idempotency key.
    """
    return session.scalar(
        select(RunRow).where(RunRow.trigger_id == trigger_id, RunRow.idempotency_key == key)
    )


def fail(context: Context, session: Session, run: RunRow, problem: str) -> None:
    """End a run that was just inserted and cannot be executed.

    Args:
        context: the ledger's surroundings.
        session: the transaction that inserted the run.
        run: the run.
        problem: why, for people.
    """
    run.state, run.finished_at = RunState.FAILED.value, run.created_at
    run.error = CellError(cell=None, name="InvalidInput", value=problem).model_dump(mode="json")
    note_end(context, session, run)


def _storable(given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that can be kept as JSON."""
    kept: dict[str, Any] = {}
    for name, value in given.items():
        try:
            parameter_values.check_json({**kept, name: value})
        except InvalidInput:
            continue
        kept[name] = value
    return kept
