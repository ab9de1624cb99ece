"""Suspending a run until a person releases it: without an attempt, a lease or a slot; its state is kept.

A run is suspended only when it could go on from where it is, and where it goes on from is decided when it is
released, as for a run that is requeued: its kernel's environment or its files may be others by then.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger.attempts import retry_start
from respawn_jobs.ledger.attempts.lifecycle import end_attempt
from respawn_jobs.ledger.attempts.retry_start import RetryRefusal, RetryStart
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.context.context import Context, find_run
from respawn_jobs.ledger.context.text_limits import check_text
from respawn_jobs.ledger.resume import side_effects
from respawn_jobs.ledger.runs.cell_records import cells_of
from respawn_jobs.ledger.runs.revisions import RELEASE, SUSPEND, mark_state_change, what_happened
from respawn_jobs.ledger.runs.rows import cell_of, ref_of, run_of
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.store.tables import AttemptRow, RunRow

_MAX_REASON = 500


def suspend(context: Context, actor: Actor, run_id: str, reason: str) -> Run:
    """End the attempt of a running run, which fences its runner, and let the run wait for a person.

    What the attempt executes at this moment is interrupted, and executed anew after the release.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` in the job's namespace.
        run_id: the run's id.
        reason: what it waits for, for its page, the note on the attempt and the audit trail.

    Raises:
        Conflict: it does not run, it was asked to stop, or a cell that runs once would be executed again.
        NotFound, Forbidden: see `find_run`.
    """
    check_text("reason", reason, _MAX_REASON)
    while not _suspended(context, actor, run_id, reason):
        continue
    context.observer.attempt_ended(RunState.SUSPENDED.value, None)
    with context.database.session() as session:
        return run_of(session, session.get_one(RunRow, run_id), context)


def release(context: Context, actor: Actor, run_id: str) -> Run:
    """Queue a suspended run again; its next attempt goes on from the last kept state.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` in the job's namespace.
        run_id: the run's id.

    Raises:
        Conflict: it is not suspended, or a cell that runs once would be executed again: it stays suspended.
        NotFound, Forbidden: see `find_run`.
        Unavailable: the blob store does not answer.
    """
    while not _released(context, actor, run_id):
        continue
    with context.database.session() as session:
        return run_of(session, session.get_one(RunRow, run_id), context)


def _suspended(context: Context, actor: Actor, run_id: str, reason: str) -> bool:
    """Suspend a run; False when a cell began meanwhile that the start which was found would execute again."""
    with context.database.session() as session:
        run, _ = find_run(session, actor, run_id, "run")
        seen = _running(session, run)
        # Looked for before the run's row is locked: blobs may be far away.
        start = _start(context, session, run, seen, "suspended")
    with context.database.session(write=True) as session:
        run, job = find_run(session, actor, run_id, "run", lock=True)
        attempt = _running(session, run)
        cells = [cell_of(cell, None, evidence=False) for cell in cells_of(session, run, attempt.number)]
        if attempt.id != seen.id or side_effects.executed_again(cells, start.at) is not None:
            return False
        end_attempt(session, run, attempt, context.clock(), RunState.SUSPENDED)
        attempt.note = f"suspended by {actor.name}: {reason}; when it is released, {start.note}"
        run.state, run.current = RunState.SUSPENDED.value, None
        session.flush()
        mark_state_change(session, run_id)
        trail.write(
            context, session, actor.name, SUSPEND, job.namespace, run_id, job=ref_of(job), reason=reason
        )
    return True


def _released(context: Context, actor: Actor, run_id: str) -> bool:
    """Release a run; False when it was released and suspended again while its start was looked for."""
    with context.database.session() as session:
        run, _ = find_run(session, actor, run_id, "run")
        _check_suspended(session, run)
        latest = select(AttemptRow).where(AttemptRow.run_id == run.id, AttemptRow.number == run.attempt)
        attempt = session.scalars(latest).one()
        start = _start(context, session, run, attempt, "released")
    with context.database.session(write=True) as session:
        run, job = find_run(session, actor, run_id, "run", lock=True)
        _check_suspended(session, run)
        if run.attempt != attempt.number:
            return False
        run.state, run.not_before = RunState.QUEUED.value, None
        retry_start.apply(session, run, start)
        mark_state_change(session, run_id)
        trail.write(context, session, actor.name, RELEASE, job.namespace, run_id, job=ref_of(job))
    return True


def _running(session: Session, run: RunRow) -> AttemptRow:
    """Return the attempt that executes a run. Raises `Conflict` where there is none, or none for long."""
    if run.cancel_requested and not RunState(run.state).final:
        raise Conflict(f"{run.id} was asked to stop: it is not suspended", run=run.id, state=run.state)
    attempt = session.get(AttemptRow, run.current) if run.current else None
    if attempt is None or attempt.state != RunState.RUNNING.value:
        # An attempt that has said how it ended, whose run is settled in a moment, leaves the run `running`.
        ended = attempt is not None and not RunState(attempt.state).executing
        why = "its attempt has just ended" if ended else what_happened(session, run)
        raise Conflict(
            f"{run.id} does not run: {why}. Only a run that runs can be suspended",
            run=run.id,
            state=run.state,
        )
    return attempt


def _check_suspended(session: Session, run: RunRow) -> None:
    if run.state != RunState.SUSPENDED.value:
        raise Conflict(
            f"{run.id} is not suspended: {what_happened(session, run)}", run=run.id, state=run.state
        )


def _start(context: Context, session: Session, run: RunRow, attempt: AttemptRow, wanted: str) -> RetryStart:
    """Return where a run goes on. Raises `Conflict` where it would execute a cell twice that runs once."""
    found = retry_start.start_of_retry(context, session, run, attempt, resume=True)
    if isinstance(found, RetryRefusal):
        raise Conflict(
            f"{run.id} cannot be {wanted}, for it would be {found.note}. Cancel it, then resume it to decide "
            "what runs again",
            run=run.id,
            cell=found.cell,
        )
    return found
