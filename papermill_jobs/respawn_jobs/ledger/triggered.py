"""Runs that no person asked for: made once for each occasion, and recorded as failed when they cannot run.

Schedules, rules, webhooks, watches and backfills make their runs here, so that the same holds for all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs import parameters
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger import overlap
from respawn_jobs.ledger.context import Context, find_version
from respawn_jobs.ledger.ends import note_end
from respawn_jobs.ledger.runs import PARAMETER_DUE, check_parameters, new_run, with_due
from respawn_jobs.ledger.suspension import locked_job
from respawn_jobs.models import CellError, Parameter, RunState, Trigger
from respawn_jobs.store.tables import JobRow, RunRow, VersionRow
from respawn_jobs.store.trigger_tables import SpentRow


@dataclass(frozen=True)
class Occasion:
    """What makes a run; the same trigger and key make one run, however often they are told."""

    trigger: Trigger
    trigger_id: str
    """The schedule, rule, hook, watch or backfill."""
    key: str
    """What of it: a due time, a period, a call, an object. At most 255 characters."""
    by: str
    """Who made the trigger."""
    parameters: Mapping[str, Any]
    logical_at: datetime | None = None
    """The run's logical date; None for the present moment."""
    problem: str | None = None
    """Why the run cannot be executed; it is recorded as failed with these words."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """More of the run's columns, such as `due_at`."""


def queue(context: Context, session: Session, job: JobRow, occasion: Occasion) -> RunRow | None:
    """Insert the run of an occasion, with the job's newest version.

    Parameters that do not fit that version make a run that failed and says so: the occasion was there, and
    whoever looks for its run must find one. Other runs meet the job's overlap policy, a backfill's apart.

    Returns:
        The run; None when the occasion made its run before, here or in another replica, kept or not, and
        where the job was archived since the trigger was looked at.
    """
    job = locked_job(session, job.id)
    if job.archived_at is not None:
        return None
    if made(session, occasion.trigger_id, occasion.key) is not None:
        return None
    if session.get(SpentRow, (occasion.trigger_id, occasion.key)) is not None:
        return None
    version = find_version(session, job)
    logical_at = occasion.logical_at or context.clock()
    given = with_due(version, dict(occasion.parameters), logical_at)
    problem = occasion.problem or misfit(version, given)
    if problem is None and occasion.trigger != "backfill":  # which waits for its own places
        problem = context.quotas.waiting_problem(session, job.namespace)
    columns = {
        "trigger_id": occasion.trigger_id,
        "trigger_key": occasion.key,
        "logical_at": logical_at,
        "lock": context.lock_now(version.kernel, version.lock),
        "parameters": given if problem is None else _storable(given),
        **occasion.columns,
    }
    try:
        with session.begin_nested():
            run = new_run(context, session, job, version, occasion.by, occasion.trigger, **columns)
    except IntegrityError:
        # Race: another replica has inserted the run of this occasion since the look above.
        if made(session, occasion.trigger_id, occasion.key) is None:
            raise
        return None
    if problem is not None:
        fail(context, session, run, problem)
    elif occasion.trigger != "backfill":
        overlap.admit(context, session, job, run)
    return run


def made(session: Session, trigger_id: str, key: str) -> RunRow | None:
    """Return the run that an occasion made before."""
    return session.scalar(select(RunRow).where(RunRow.trigger_id == trigger_id, RunRow.trigger_key == key))


def fail(context: Context, session: Session, run: RunRow, problem: str) -> None:
    """End a run that was just inserted and cannot be executed."""
    run.state, run.finished_at = RunState.FAILED.value, run.created_at
    run.error = CellError(cell=None, name="InvalidInput", value=problem).model_dump(mode="json")
    note_end(context, session, run)


def misfit(version: VersionRow, given: dict[str, Any]) -> str | None:
    """Return why parameters do not fit a version; None when they do."""
    try:
        check_parameters(version, given)
    except InvalidInput as error:
        return error.message
    return None


def check_rule(version: VersionRow, fixed: dict[str, Any], later: Collection[str]) -> dict[str, Any]:
    """Return a trigger's fixed parameters when they fit the version.

    Args:
        version: the job's newest.
        fixed: given to every run.
        later: names whose values come with each occasion.

    Raises:
        InvalidInput: a name that the notebook does not declare, a wrong value, a required parameter that
            nothing gives, or one that is given twice.
    """
    for name in later:
        if name in fixed:
            raise InvalidInput(
                f"parameter {name!r} is given twice: fixed, and by each trigger", parameter=name
            )
    if not parameters.inspectable(version.language):
        return check_parameters(version, fixed)
    declared = {item.name: item for item in map(Parameter.model_validate, version.parameters)}
    for name in later:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise InvalidInput(f"unknown parameter {name!r}: the notebook declares {known}", parameter=name)
    given_anyway = {*later, PARAMETER_DUE} - set(fixed)
    return parameters.check([item for name, item in declared.items() if name not in given_anyway], fixed)


def _storable(given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that can be kept as JSON."""
    kept: dict[str, Any] = {}
    for name, value in given.items():
        try:
            parameters.check_json({**kept, name: value})
        except InvalidInput:
            continue
        kept[name] = value
    return kept
