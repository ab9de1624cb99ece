"""Why a queued run does not run yet, and what a suspended one waits for, in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import and_, func, or_, select, text
from sqlalchemy.orm import Session

from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.capacity.concurrency import (
    ConcurrencyLimits,
    Occupancy,
    limits_now,
    occupancy,
    partition_of,
)
from respawn_jobs.ledger.capacity.replicas import heard
from respawn_jobs.ledger.capacity.suspension import idle
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.context.job_places import place_of
from respawn_jobs.model.kernels import JobPlace
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import Cause, JobSettings
from respawn_jobs.store.service_tables import MissingPlaceRow, ReplicaRow
from respawn_jobs.store.tables import WAITING, AttemptRow, JobRow, RunRow
from respawn_kernels.counting import how_many

_MAX_COUNTED = 1000
_WORDS = {
    Cause.CELL_ERROR: "a cell's error",
    Cause.DEAD_KERNEL: "a dead kernel",
    Cause.OUT_OF_MEMORY: "a kernel out of memory",
    Cause.PROCESS_LIMIT: "too many processes",
    Cause.DISK_LIMIT: "a directory that grew too large",
    Cause.ENVIRONMENT_MISSING: "a kernel that is not there",
    Cause.RUNNER_LOST: "a lost runner",
    Cause.TIMEOUT: "a timeout",
}


def waiting(context: Context, session: Session, rows: Sequence[RunRow]) -> dict[str, str]:
    """Return for each queued or suspended run among `rows` what it waits for; a few statements for all.

    For a single run it is also counted how many are before it: those of a higher priority, and older ones
    of the same. Fairness between users may let it start sooner or later than that.

    Args:
        context: the ledger's surroundings.
        session: the caller's transaction.
        rows: runs in any state.
    """
    reasons = _suspended(session, [row for row in rows if row.state == RunState.SUSPENDED.value])
    queued = [row for row in rows if row.state == RunState.QUEUED.value]
    if not queued:
        return reasons
    clock = context.clock()
    reasons |= {row.id: "waiting for: its runner to start" for row in queued if row.current is not None}
    delayed = [row for row in queued if row.current is None and row.not_before and row.not_before > clock]
    reasons |= _until(session, delayed)
    suspended = idle(session)
    reasons |= {row.id: suspended[row.namespace] for row in queued if row.namespace in suspended}
    ready = [row for row in queued if row.id not in reasons]
    if not ready:
        return reasons
    jobs = _jobs(session, ready)
    limits = limits_now(session, {job: row.settings for job, row in jobs.items()})
    now, replicas = occupancy(session), heard(session, clock)
    places = _missing_places(context, session, [place_of(jobs[row.job_id]) for row in ready])
    for row in ready:
        cause = _limit(limits, now, row, jobs[row.job_id]) or _no_service(replicas)
        cause = cause or places.get(place_of(jobs[row.job_id])) or _busy(replicas, now)
        if cause is None:
            cause = "its turn" + (_before(session, row) if len(rows) == 1 else "")
        reasons[row.id] = f"waiting for: {cause}"
    return reasons


def _suspended(session: Session, rows: Sequence[RunRow]) -> dict[str, str]:
    """Return what is said of runs that wait for a person: the note on the attempt that was suspended."""
    if not rows:
        return {}
    query = select(AttemptRow.run_id, AttemptRow.note).where(AttemptRow.run_id.in_([row.id for row in rows]))
    notes = session.execute(query.order_by(AttemptRow.number))
    return {run: note or "suspended" for run, note in notes}


def _until(session: Session, rows: Sequence[RunRow]) -> dict[str, str]:
    """Return the reason of runs that wait for a time."""
    if not rows:
        return {}
    query = select(AttemptRow.run_id, AttemptRow.cause).where(AttemptRow.run_id.in_([row.id for row in rows]))
    causes: dict[str, list[str | None]] = {}
    for run, cause in session.execute(query.order_by(AttemptRow.number)):
        causes.setdefault(run, []).append(cause)
    return {row.id: _tried_again(row, causes.get(row.id, [])) for row in rows}


def _tried_again(row: RunRow, causes: list[str | None]) -> str:
    at = f"waiting until {_moment(row.not_before)}"
    last = causes[-1] if causes else None
    if last is None:
        return f"{at}, to be tried again"
    most = JobSettings.model_validate(row.settings).policy(Cause(last)).attempts
    number = causes.count(last) + 1
    return f"{at}, to be tried again after {_WORDS[Cause(last)]} (attempt {number} of {most})"


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S} UTC" if at else "later"


def _jobs(session: Session, rows: Sequence[RunRow]) -> dict[str, JobRow]:
    found = session.scalars(select(JobRow).where(JobRow.id.in_({row.job_id for row in rows})))
    return {job.id: job for job in found}


def _limit(limits: ConcurrencyLimits, now: Occupancy, row: RunRow, job: JobRow) -> str | None:
    reached = limits.reached(partition_of(row), now)
    if reached is None:
        return None
    kind, name, most = reached
    if kind != "job":
        return f"limit {most} of {kind} {name}"
    return f"limit {most} of job {job.namespace}/{job.name} ({now.of_job[job.id]} is running)"


def _no_service(replicas: Sequence[ReplicaRow]) -> str | None:
    if not replicas:
        return "a service: none is running"
    return None if any(not one.draining for one in replicas) else "a service: all that run are being stopped"


def _busy(replicas: Sequence[ReplicaRow], now: Occupancy) -> str | None:
    taking = [replica for replica in replicas if not replica.draining]
    slots = sum(replica.slots for replica in taking)
    busy = sum(min(replica.slots, now.of_replica[replica.id]) for replica in taking)
    return f"a free runner: {busy} of {slots} are busy" if busy >= slots else None


def _missing_places(context: Context, session: Session, places: Collection[JobPlace]) -> dict[JobPlace, str]:
    """Return why there is no place: the executor has none, or the profile is not there any more."""
    namespaces = {place.namespace for place in places}
    rows = session.scalars(select(MissingPlaceRow).where(MissingPlaceRow.namespace.in_(namespaces)))
    found = {JobPlace(row.namespace, row.profile or None): row.message for row in rows}
    return found | {place: why for place in {*places} if (why := no_place(context, place)) is not None}


def no_place(context: Context, place: JobPlace) -> str | None:
    """Return why jobs cannot run in a place as things are defined; None where they can."""
    try:
        context.places.kind(place)
    except Unavailable as error:
        return error.message
    return None


def _before(session: Session, row: RunRow) -> str:
    """Return how many runs are before one, in words; counting ends at a thousand."""
    older = or_(
        RunRow.created_at < row.created_at,
        and_(RunRow.created_at == row.created_at, RunRow.id < row.id),
    )
    before = (
        select(RunRow.id)
        .where(text(WAITING))
        .where(or_(RunRow.priority > row.priority, and_(RunRow.priority == row.priority, older)))
        .limit(_MAX_COUNTED)
        .subquery()
    )
    count = session.scalar(select(func.count()).select_from(before)) or 0
    if count == 0:
        return ", it is the next"
    many = f"{count} or more runs are" if count == _MAX_COUNTED else how_many(count, "run is", "runs are")
    return f": {many} before it"
