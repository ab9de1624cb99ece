"""What becomes of a run that comes due while others of its job have not ended.

This is for runs that come due by themselves: by the clock, after other jobs, by a webhook or an object. A run
that a person asks for, a backfill's, and one that goes on from another are there like all others, but always
wait: somebody wants exactly them. A backfill's runs are not cancelled either; who started it stops it.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.ledger.attempts.lifecycle import end_attempt
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.concurrency import parallel_of
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.runs.cell_records import close_cells, shown_attempt
from respawn_jobs.ledger.runs.outbox import note_end
from respawn_jobs.ledger.runs.revisions import mark_state_change
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.model.runs import CellError, RunState
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import AttemptRow, JobRow, RunRow

_OPEN = tuple(state.value for state in RunState if not state.final)
_BY = "respawn:overlap"
"""Who the audit trail names for what the policy cancels."""


def admit(context: Context, session: Session, job: JobRow, run: RunRow) -> None:
    """Apply a job's overlap policy to a run that just came due, in the transaction that inserted it.

    Does nothing when the run has ended already. A run that is skipped has ended afterwards; those that are
    cancelled have ended, or are asked to and end within seconds, while the new one waits.

    Args:
        context: the ledger's surroundings.
        session: the transaction that inserted the run.
        job: the run's job.
        run: the run.
    """
    if run.state != RunState.QUEUED.value:
        return
    # Of two runs that come due at once the second sees the first: they take turns on their job's row. Each
    # has inserted its run by now, which holds the row's key; a lock on the key too would be a deadlock.
    query = select(JobRow.settings).where(JobRow.id == job.id)
    settings = session.scalars(query.with_for_update(key_share=True)).one()
    policy = settings.get("overlap", "queue")
    if policy == "queue":
        return
    others = _others(session, run)
    if len(others) < (parallel_of(settings) or 1):
        return
    if policy == "skip":
        _end(context, session, run, "Skipped", f"{others[0].id} of the same job had not ended")
        return
    for other in others:
        if other.trigger != "backfill" and not other.cancel_requested:
            _cancel(context, session, job, other, run)


def _others(session: Session, run: RunRow) -> list[RunRow]:
    """Return the runs of the same job that have not ended, oldest first, locked.

    One whose runner has said that it succeeded has ended, though its run is final only in a moment.
    """
    query = (
        select(RunRow)
        .where(RunRow.job_id == run.job_id, RunRow.state.in_(_OPEN), RunRow.id != run.id)
        .order_by(RunRow.created_at, RunRow.id)
    )
    rows = session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
    # By a query of its own: one that waits for a lock sees other tables as they were before it waited.
    attempts = [row.current for row in rows if row.current is not None]
    succeeded: set[str] = set()
    for some in in_pieces(attempts):
        done = select(AttemptRow.id).where(AttemptRow.state == RunState.SUCCEEDED.value)
        succeeded.update(session.scalars(done.where(AttemptRow.id.in_(some))))
    return [row for row in rows if row.current not in succeeded]


def _cancel(context: Context, session: Session, job: JobRow, run: RunRow, cause: RunRow) -> None:
    run.cancel_requested = True
    reason = f"{cause.id} of the same job came due"
    if run.current is None:
        _end(context, session, run, "Cancelled", reason)
    elif run.state == RunState.QUEUED.value:
        # Its runner has not claimed it: fenced now, and settled by the dispatcher's next look.
        error = CellError(cell=None, name="Cancelled", value=reason)
        attempt = session.get_one(AttemptRow, run.current)
        end_attempt(session, run, attempt, context.clock(), RunState.CANCELLED, error)
    mark_state_change(session, run.id)
    trail.write(context, session, _BY, "cancel", run.namespace, run.id, job=ref_of(job), reason=reason)


def _end(context: Context, session: Session, run: RunRow, name: str, reason: str) -> None:
    """End a run that no runner has."""
    error = CellError(cell=None, name=name, value=reason)
    run.state, run.finished_at = RunState.CANCELLED.value, context.clock()
    run.error = error.model_dump(mode="json")
    session.flush()
    close_cells(session, run, shown_attempt(session, run), "the run was cancelled")
    mark_state_change(session, run.id)
    note_end(context, session, run)
