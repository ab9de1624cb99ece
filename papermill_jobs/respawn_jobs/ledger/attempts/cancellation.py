"""Cancelling runs: one that waits or is suspended ends at once, one that executes is asked to stop."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.service import SeenRun
from respawn_jobs.errors import Conflict, NotFound
from respawn_jobs.ledger.attempts.lifecycle import end_attempt, settle
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.blobs.ownership import store
from respawn_jobs.ledger.context.context import Context, find_run
from respawn_jobs.ledger.runs.cell_records import add_note, assemble_at_end, close_cells, shown_attempt
from respawn_jobs.ledger.runs.outbox import note_end
from respawn_jobs.ledger.runs.revisions import (
    by,
    check_unchanged,
    last_change,
    mark_state_change,
    what_happened,
)
from respawn_jobs.ledger.runs.rows import ref_of, run_of
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.store.tables import AttemptRow, RunRow

OPEN = tuple(state.value for state in RunState if not state.final)
"""The states of runs that have not ended."""


def cancel(
    context: Context, actor: Actor, run_id: str, seen: SeenRun | None = None, *, reason: str | None = None
) -> Run:
    """Cancel a queued or suspended run at once, or ask a running one to stop; see `Service.cancel`.

    A reason is for the audit trail and the note on the attempt that it ends. Asking again changes nothing.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` in the job's namespace.
        run_id: the run's id.
        seen: what the person saw of the run; None acts in any case.
        reason: why; None for no reason given.

    Raises:
        Conflict: the run has ended, somebody else has asked it to stop, or it is not as it was seen.
        NotFound, Forbidden: see `find_run`.
    """
    while not _cancelled(context, actor, run_id, seen or SeenRun(), reason):
        continue
    settle(context, run_id)
    with context.database.session() as session:
        return run_of(session, session.get_one(RunRow, run_id))


def cancel_open(
    context: Context, actor: Actor, which: ColumnElement[bool], *, reason: str | None = None
) -> list[str]:
    """Cancel those runs of a condition on `RunRow` that have not ended; return them.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` for each of these runs.
        which: the condition.
        reason: why; None for no reason given.

    Raises:
        Forbidden: the actor may not cancel one of them; those before it are cancelled.
    """
    with context.database.session() as session:
        still_open = session.scalars(select(RunRow.id).where(which, RunRow.state.in_(OPEN))).all()
    cancelled: list[str] = []
    for run_id in still_open:
        try:
            cancel(context, actor, run_id, reason=reason)
        except (Conflict, NotFound):  # it ended, and may be gone, since the look above
            continue
        cancelled.append(run_id)
    return cancelled


def _cancelled(context: Context, actor: Actor, run_id: str, seen: SeenRun, reason: str | None) -> bool:
    """Cancel a run; False when it came to wait for another attempt between the look and the lock."""
    with context.database.session() as session:
        row, job = find_run(session, actor, run_id, "run")
        waits, revision = row.current is None, row.revision
        # Put together before the run's row is locked: blobs may be far away.
        ending = waits and not RunState(row.state).final
        text, trouble = assemble_at_end(session, context.blobs, row) if ending else (None, None)
    executed = store(context, job.namespace, text) if text else None
    with context.database.session(write=True) as session:
        row, job = find_run(session, actor, run_id, "run", lock=True)
        check_unchanged(session, row, seen.revision)
        if _asked_before(session, row, actor):
            return True
        if row.current is None:
            if not waits or row.revision != revision:
                return False
            row.cancel_requested = True
            row.state, row.finished_at, row.notebook = RunState.CANCELLED.value, context.clock(), executed
            row.not_before = None
            close_cells(session, row, shown_attempt(session, row), "the run was cancelled")
            note_end(context, session, row)
            if trouble:
                add_note(session, row, trouble)
        else:
            row.cancel_requested = True
            attempt = session.get_one(AttemptRow, row.current)
            if attempt.state == RunState.QUEUED.value:
                end_attempt(session, row, attempt, context.clock(), RunState.CANCELLED)
        session.flush()
        mark_state_change(session, run_id)
        why = {"reason": reason} if reason is not None else {}
        trail.write(context, session, actor.name, "cancel", job.namespace, run_id, job=ref_of(job), **why)
    return True


def _asked_before(session: Session, run: RunRow, actor: Actor) -> bool:
    """Return whether the actor has asked this run to stop already.

    Raises `Conflict` when it has ended or somebody else has asked; the message says which.
    """
    if RunState(run.state).final:
        message = f"{run.id} has already ended: {run.state}"
        if run.state == RunState.CANCELLED.value:
            message += f"; {what_happened(session, run)}"
        raise Conflict(message, run=run.id, state=run.state)
    attempt = session.get(AttemptRow, run.current) if run.current else None
    if attempt is not None and attempt.state == RunState.SUCCEEDED.value:
        # It has said that it succeeded; its run will be final in a moment.
        raise Conflict(f"{run.id} has already ended: {attempt.state}", run=run.id, state=attempt.state)
    if not run.cancel_requested:
        return False
    asked = last_change(session, run.id, ["cancel"])
    if asked is not None and asked.actor == actor.name:
        return True
    who = f", by {by(asked)}" if asked is not None else ""
    raise Conflict(f"{run.id} was asked to stop already{who}", run=run.id, state=run.state)
