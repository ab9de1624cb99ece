"""Runs that have ended and that a loop of the service has yet to act on: downstream jobs, people to tell.

A row is written in the transaction that ends the run, and removed in the one that acted on it, so nothing is
forgotten when a replica dies in between; what acts must be harmless when it is done twice. This is the
transactional outbox pattern.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.runs.cell_records import began
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.service_tables import ReplicaRow, RunOutboxRow
from respawn_jobs.store.tables import RunRow

Consumer = Literal["downstream", "notify"]
_FORGOTTEN = timedelta(days=1)
_CONSUMERS: tuple[Consumer, ...] = ("downstream", "notify")


def note_end(context: Context, session: Session, run: RunRow) -> None:
    """Hand an ended run to every loop that acts on ends; called in the transaction that ends it.

    One that ended before any of its cells began lets go of the run that it went on from, which can then be
    gone on from again; see `resume.go_on`.

    Args:
        context: the ledger's surroundings.
        session: the transaction that ends the run.
        run: the run.
    """
    if run.resume_of is not None and run.state != RunState.SUCCEEDED.value and not began(session, run):
        run.resume_of = None
    now = context.clock()
    session.add_all(RunOutboxRow(consumer=consumer, run_id=run.id, at=now) for consumer in _CONSUMERS)


def ended(context: Context, consumer: Consumer, limit: int = 100) -> list[str]:
    """Return ids of ended runs that a consumer has yet to act on, oldest first.

    Args:
        context: the ledger's surroundings.
        consumer: which loop asks.
        limit: the most ids.
    """
    query = select(RunOutboxRow.run_id).where(RunOutboxRow.consumer == consumer)
    with context.database.session() as session:
        return list(session.scalars(query.order_by(RunOutboxRow.at, RunOutboxRow.run_id).limit(limit)))


def claim(session: Session, consumer: Consumer, run_id: str) -> bool:
    """Lock one end for this transaction, which acts on it, and remove it; False when another did or does.

    PostgreSQL's SKIP LOCKED lets another replica go on instead of waiting; on SQLite writers take turns.

    Args:
        session: the caller's transaction; it writes.
        consumer: which loop acts.
        run_id: id of the ended run.
    """
    query = select(RunOutboxRow).where(RunOutboxRow.consumer == consumer, RunOutboxRow.run_id == run_id)
    if session.scalar(query.with_for_update(skip_locked=True)) is None:
        return False
    session.execute(
        delete(RunOutboxRow).where(RunOutboxRow.consumer == consumer, RunOutboxRow.run_id == run_id)
    )
    return True


def awaited(session: Session, run_id: str) -> bool:
    """Return whether a service has yet to act on a run's end; never where none works on this store."""
    served = exists().where(ReplicaRow.id.is_not(None))
    query = select(RunOutboxRow.run_id).where(RunOutboxRow.run_id == run_id, served).limit(1)
    return session.scalar(query) is not None


def forget(context: Context) -> None:
    """Forget ends of more than a day ago, unless a service works on this store: its loops act on them."""
    old = RunOutboxRow.at < context.clock() - _FORGOTTEN
    with context.database.session(write=True) as session:
        session.execute(delete(RunOutboxRow).where(old, ~exists().where(ReplicaRow.id.is_not(None))))
