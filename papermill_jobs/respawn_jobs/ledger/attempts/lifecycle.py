"""The life of attempts: opened, ended, lost, and what their end means for the run.

An attempt ends in two steps. First it is marked as ended: from then on it is fenced and can commit nothing.
Then its run is settled: queued again by its retry policy, or made final with an executed notebook. A
process that dies between the two leaves a run whose attempt has ended, and `expire` settles that as well.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from respawn_jobs.api.runner_protocol import NOT_STARTED, PREEMPTED
from respawn_jobs.errors import Conflict, Unavailable
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.attempts import retry_policy, retry_start
from respawn_jobs.ledger.attempts.exit_reason import SERVICE_KILLED, START_GRACE, reason
from respawn_jobs.ledger.attempts.retry_policy import Verdict
from respawn_jobs.ledger.blobs.ownership import store
from respawn_jobs.ledger.context.context import Context, touch
from respawn_jobs.ledger.runs.cell_records import add_note, assemble_at_end, cells_of, close_cells
from respawn_jobs.ledger.runs.outbox import note_end
from respawn_jobs.ledger.runs.revisions import mark_state_change
from respawn_jobs.model.runs import CellError, CellState, RunState
from respawn_jobs.model.settings import Cause
from respawn_jobs.store.database import writes
from respawn_jobs.store.tables import AttemptRow, JobRow, RunRow

logger = logging.getLogger(__name__)

_OPEN = tuple(state.value for state in RunState if state.executing)
_LOST = "RunnerLost"


def token_hash(token: str) -> str:
    """Return what is stored of an attempt's token."""
    return hashlib.sha256(token.encode()).hexdigest()


def open_attempt(context: Context, run_id: str, executor: str) -> tuple[str, str]:
    """Open the next attempt of a queued run and return its id and token.

    Raises `Conflict` when the run does not wait for an attempt: of two callers, one gets it.

    Args:
        context: the ledger's surroundings.
        run_id: the run's id.
        executor: name of what will start the runner.
    """
    with context.database.session(write=True) as session:
        run = session.scalar(
            select(RunRow)
            .where(RunRow.id == run_id, RunRow.state == RunState.QUEUED.value, RunRow.current.is_(None))
            .with_for_update()
        )
        if run is None:
            raise Conflict(f"{run_id} does not wait for a runner", run=run_id)
        return open_next(context, session, run, executor, None)


def open_next(
    context: Context,
    session: Session,
    run: RunRow,
    executor: str,
    replica: str | None,
    profile: str | None = None,
) -> tuple[str, str]:
    """Open the next attempt of a run that waits and whose row the caller has locked; see `open_attempt`.

    Args:
        context: the ledger's surroundings.
        session: the caller's transaction; it writes.
        run: the run.
        executor: name of what will start the runner.
        replica: id of the service's replica that starts it; None outside of a service.
        profile: that of the job server which executes it; None for none.
    """
    attempt_id, token = new_id("att"), secrets.token_urlsafe(32)
    run.current, run.attempt, run.not_before = attempt_id, run.attempt + 1, None
    session.add(
        AttemptRow(
            id=attempt_id,
            run_id=run.id,
            number=run.attempt,
            state=RunState.QUEUED.value,
            executor=executor,
            profile=profile,
            replica=replica,
            token_hash=token_hash(token),
            lease_until=context.clock() + START_GRACE,
        )
    )
    session.flush()
    touch(session, run.id)
    return attempt_id, token


def lock_attempt(session: Session, attempt_id: str) -> tuple[RunRow, AttemptRow] | None:
    """Lock the run that an attempt acts for; None when it acts for none (any more).

    A session that only reads finds it, and locks nothing.
    """
    query = select(RunRow).where(RunRow.current == attempt_id)
    # The run's row is the one lock for all that changes a run, so nothing waits in a circle.
    run = session.scalar(query.with_for_update() if writes(session) else query)
    if run is None:
        return None
    return run, session.get_one(AttemptRow, attempt_id)


def end_attempt(
    session: Session,
    run: RunRow,
    attempt: AttemptRow,
    now: datetime,
    state: RunState,
    error: CellError | None = None,
    notebook: str | None = None,
    cause: Cause | None = None,
) -> None:
    """Mark an attempt as ended, which fences it, and close its cells.

    Args:
        session: the caller's transaction; it writes.
        run: the attempt's run.
        attempt: what ends.
        now: when it ended, in UTC.
        state: how it ended.
        error: why it failed; None when it did not.
        notebook: digest of the executed notebook; None where none was made.
        cause: why it failed, as its runner says; None to tell it from the error.
    """
    attempt.state = state.value
    attempt.finished_at = now
    attempt.error = error.model_dump(mode="json") if error else None
    found = retry_policy.cause_of(state, error, cause)
    attempt.cause = found.value if found else None
    attempt.notebook = notebook
    close_cells(session, run, attempt.number, _note(state, error))
    touch(session, run.id)


def not_ended(context: Context, attempt_ids: Collection[str]) -> set[str]:
    """Return those of the attempts that have not ended."""
    query = select(AttemptRow.id).where(AttemptRow.id.in_(attempt_ids), AttemptRow.state.in_(_OPEN))
    with context.database.session() as session:
        return set(session.scalars(query))


def lose(
    context: Context,
    attempt_id: str,
    reason: str,
    *,
    name: str = _LOST,
    expired_at: datetime | None = None,
) -> str | None:
    """Mark an attempt as lost and settle its run; return the run's id, None when there was nothing to lose.

    With `expired_at`, only when the lease was over by then: a heartbeat may just have renewed it. One that a
    service gave to a runner, and that no runner took, has done nothing: another one is made.

    Args:
        context: the ledger's surroundings.
        attempt_id: the attempt's id.
        reason: why, for the recorded error.
        name: the recorded error's name, from which the retry policy tells the cause.
        expired_at: a moment in UTC; None to lose it whatever its lease.
    """
    with context.database.session(write=True) as session:
        found = lock_attempt(session, attempt_id)
        if found is None:
            return None
        run, attempt = found
        if attempt.state not in _OPEN or (expired_at is not None and attempt.lease_until > expired_at):
            return None
        if attempt.state == RunState.QUEUED.value and attempt.replica is not None and name == _LOST:
            name = NOT_STARTED
        running = [
            cell.index
            for cell in cells_of(session, run, attempt.number)
            if cell.state == CellState.RUNNING.value
        ]
        error = CellError(cell=running[0] if running else None, name=name, value=reason)
        end_attempt(session, run, attempt, context.clock(), RunState.LOST, error)
        run_id = run.id
    settle(context, run_id)
    return run_id


def requeue(context: Context, attempt_id: str, reason: str) -> str | None:
    """End an attempt for a runner that was asked to end and could not report its end; requeue the run.

    Does what the runner's own `Preempted` does. Returns the run's id; None when the attempt had ended.

    Args:
        context: the ledger's surroundings.
        attempt_id: the attempt's id.
        reason: why, for the recorded error.
    """
    return lose(context, attempt_id, reason, name=PREEMPTED)


def lose_replica(context: Context, replica: str) -> list[str]:
    """Lose the attempts of a replica whose process, and with it its runners, is known to be dead.

    Returns the ids of their runs.
    """
    with context.database.session() as session:
        query = (
            select(AttemptRow.id)
            .join(RunRow, RunRow.current == AttemptRow.id)
            .where(AttemptRow.replica == replica, AttemptRow.state.in_(_OPEN))
        )
        found = list(session.scalars(query))
    return [run for attempt in found if (run := lose(context, attempt, SERVICE_KILLED)) is not None]


def expire(context: Context, *, spare_claimed: bool = False, living: Collection[str] = ()) -> list[str]:
    """Lose every attempt whose lease is over, settle what a killed process left, and return the runs' ids.

    With `spare_claimed`, an attempt that a runner claimed keeps its place although its lease is over. Of the
    attempts in `living` the caller sees the runner's process, which the recorded reason then says. A run that
    makes trouble is logged and tried again by the next call; it holds up no other.

    Args:
        context: the ledger's surroundings.
        spare_claimed: whether claimed attempts are left alone.
        living: ids of attempts.
    """
    now = context.clock()
    with context.database.session() as session:
        query = (
            select(AttemptRow)
            .join(RunRow, RunRow.current == AttemptRow.id)
            .where(RunRow.state.in_(_OPEN))
            .where(or_(AttemptRow.lease_until <= now, AttemptRow.state.not_in(_OPEN)))
        )
        found = [
            (attempt.id, attempt.run_id, attempt.state, reason(session, attempt, now, living))
            for attempt in session.scalars(query)
        ]
    changed: list[str] = []
    for attempt_id, run_id, state, why in found:
        if spare_claimed and state == RunState.RUNNING.value:
            continue
        try:
            if state not in _OPEN:
                settle(context, run_id)
            elif not lose(context, attempt_id, why, expired_at=now):
                continue
            else:
                logger.warning("%s of %s is lost: %s", attempt_id, run_id, why)
        except Unavailable as error:
            logger.warning("%s is settled later: %s", run_id, error)
        except Exception:  # whatever one run holds, the others must go on
            logger.exception("%s could not be settled", run_id)
        else:
            changed.append(run_id)
    return changed


def settle(context: Context, run_id: str) -> None:
    """Make a run whose attempt has ended final, or queue it again. Does nothing when that was done before.

    A run whose executed notebook cannot be put together ends without one, and a note says why. Raises
    `Unavailable` when the store does not answer: `expire` comes back to the run.
    """
    while not _settled(context, run_id):
        logger.info("%s was cancelled just before it would have been tried again", run_id)


def _settled(context: Context, run_id: str) -> bool:
    """Settle a run; False when a cancel came in between, so that what was decided no longer holds."""
    with context.database.session() as session:
        run = session.get_one(RunRow, run_id)
        attempt = session.get(AttemptRow, run.current) if run.current else None
        if attempt is None or attempt.state in _OPEN or run.state not in _OPEN:
            return True
        verdict = retry_policy.decide(context, session, run, attempt)
        namespace = session.get_one(JobRow, run.job_id).namespace
        text, trouble = None, None
        if verdict.start is None and attempt.notebook is None:
            # Put together before the run's row is locked: blobs may be far away.
            text, trouble = assemble_at_end(session, context.blobs, run)
    notebook = attempt.notebook or (store(context, namespace, text) if text else None)
    with context.database.session(write=True) as session:
        found = lock_attempt(session, attempt.id)
        if found is None or found[0].state not in _OPEN:
            return True
        run, attempt = found
        attempt.note = verdict.note
        if verdict.start is None:
            _finish_run(session, run, attempt, notebook)
            _say(session, run, verdict, trouble)
            note_end(context, session, run)
        elif run.cancel_requested:
            return False
        else:
            run.state, run.current, run.not_before = RunState.QUEUED.value, None, verdict.not_before
            retry_start.apply(session, run, verdict.start)
            if verdict.memory_bytes is not None:
                run.settings = {**run.settings, "memory_limit_bytes": verdict.memory_bytes}
        mark_state_change(session, run_id)
    context.observer.attempt_ended(attempt.state, attempt.cause)
    return True


def _finish_run(session: Session, run: RunRow, attempt: AttemptRow, notebook: str | None) -> None:
    # A cancel that was granted holds, however far the runner came until it heard of it.
    run.state = RunState.CANCELLED.value if run.cancel_requested else attempt.state
    run.finished_at = attempt.finished_at
    run.error = attempt.error
    if run.cancel_requested and attempt.error is None:
        error = CellError(cell=None, name="Cancelled", value=attempt.note or "the run was cancelled")
        run.error = error.model_dump(mode="json")
    run.notebook = notebook


def _say(session: Session, run: RunRow, verdict: Verdict, trouble: str | None) -> None:
    """Tell, at the cells of a run that has ended, why it is not tried again and what is missing."""
    if verdict.note is not None:
        add_note(session, run, verdict.note, verdict.cell)
    if trouble is not None:
        add_note(session, run, trouble)


def _note(state: RunState, error: CellError | None) -> str:
    if state is RunState.SUSPENDED:
        return "the run was suspended while this cell ran"
    return f"the run ended ({error.name if error else state.value}) while this cell ran"
