"""Why a queued run does not run yet, in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import and_, func, or_, select, text
from sqlalchemy.orm import Session

from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.limits_of_runs import Limits, Occupancy, lane_of, limits_now, occupancy
from respawn_jobs.ledger.replicas import heard
from respawn_jobs.ledger.suspension import idle
from respawn_jobs.models import Cause, JobSettings, RunState
from respawn_jobs.store.service_tables import ReplicaRow
from respawn_jobs.store.tables import WAITING, AttemptRow, JobRow, RunRow

_MOST_COUNTED = 1000
_WORDS = {
    Cause.CELL_ERROR: "a cell's error",
    Cause.DEAD_KERNEL: "a dead kernel",
    Cause.RUNNER_LOST: "a lost runner",
    Cause.TIMEOUT: "a timeout",
}


def waiting(context: Context, session: Session, rows: Sequence[RunRow]) -> dict[str, str]:
    """Return for each queued run among `rows` what it waits for; a few statements for all of them.

    For a single run it is also counted how many are before it: those of a higher priority, and older ones
    of the same. Fairness between users may let it start sooner or later than that.
    """
    queued = [row for row in rows if row.state == RunState.QUEUED.value]
    if not queued:
        return {}
    clock = context.clock()
    reasons = {row.id: "waiting for: its runner to start" for row in queued if row.current is not None}
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
    for row in ready:
        told = _limit(limits, now, row, jobs[row.job_id]) or _service(replicas, now)
        if told is None:
            told = "its turn" + (_before(session, row) if len(rows) == 1 else "")
        reasons[row.id] = f"waiting for: {told}"
    return reasons


def _until(session: Session, rows: Sequence[RunRow]) -> dict[str, str]:
    """Return what is said of runs that wait for a time."""
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


def _limit(limits: Limits, now: Occupancy, row: RunRow, job: JobRow) -> str | None:
    reached = limits.reached(lane_of(row), now)
    if reached is None:
        return None
    kind, name, most = reached
    if kind != "job":
        return f"limit {most} of {kind} {name}"
    return f"limit {most} of job {job.namespace}/{job.name} ({now.of_job[job.id]} is running)"


def _service(replicas: Sequence[ReplicaRow], now: Occupancy) -> str | None:
    if not replicas:
        return "a service: none is running"
    taking = [replica for replica in replicas if not replica.draining]
    if not taking:
        return "a service: all that run are being stopped"
    places = sum(replica.places for replica in taking)
    busy = sum(min(replica.places, now.of_replica[replica.id]) for replica in taking)
    return f"a free runner: {busy} of {places} are busy" if busy >= places else None


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
        .limit(_MOST_COUNTED)
        .subquery()
    )
    count = session.scalar(select(func.count()).select_from(before)) or 0
    if count == 0:
        return ", it is the next"
    many = f"{count} or more runs are" if count == _MOST_COUNTED else f"{count} runs are"
    return f": {'1 run is' if count == 1 else many} before it"
