"""The service's replicas, each as it last reported itself. One that is silent for minutes is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.queueing import Replica
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.store.service_tables import ReplicaRow

HEARD = timedelta(seconds=20)
"""For how long a replica that reported nothing more counts as running."""
_KEPT = timedelta(minutes=5)


def report(
    context: Context,
    replica: str,
    *,
    host: str,
    slots: int,
    busy: int,
    draining: bool,
    health: dict[str, str],
) -> None:
    """Note the state of a replica, and forget those that have been silent for minutes.

    Args:
        context: the ledger's surroundings.
        replica: its id, made anew by each process.
        host: the machine that it runs on.
        slots: how many runs it may execute at once.
        busy: how many it executes.
        draining: whether it takes no new runs because it is being stopped.
        health: the states of its loops.
    """
    now = context.clock()
    release = context.database.schema.release
    state = {
        "seen_at": now, "slots": slots, "busy": busy, "draining": draining, "health": health,
        "release": release,
    }  # fmt: skip
    with context.database.session(write=True) as session:
        known = session.scalar(
            update(ReplicaRow).where(ReplicaRow.id == replica).values(**state).returning(ReplicaRow.id)
        )
        if known is None:
            session.add(ReplicaRow(id=replica, host=host[:255], started_at=now, **state))
        session.execute(delete(ReplicaRow).where(ReplicaRow.seen_at < now - _KEPT))


def leave(context: Context, replica: str) -> None:
    """Forget a replica that has stopped."""
    with context.database.session(write=True) as session:
        session.execute(delete(ReplicaRow).where(ReplicaRow.id == replica))


def heard(session: Session, now: datetime) -> list[ReplicaRow]:
    """Return the replicas that count as running."""
    query = select(ReplicaRow).where(ReplicaRow.seen_at >= now - HEARD)
    return list(session.scalars(query.order_by(ReplicaRow.started_at, ReplicaRow.id)))


def replicas(context: Context, actor: Actor) -> list[Replica]:
    """Return all that are known, oldest first; see `QueueingService.replicas`."""
    actor.require_everywhere("admin")
    now = context.clock()
    with context.database.session() as session:
        rows = session.scalars(select(ReplicaRow).order_by(ReplicaRow.started_at, ReplicaRow.id))
        return [
            Replica(
                id=row.id,
                host=row.host,
                started_at=row.started_at,
                seen_at=row.seen_at,
                alive=row.seen_at >= now - HEARD,
                draining=row.draining,
                slots=row.slots,
                busy=row.busy,
                health=row.health,
                release=row.release,
            )
            for row in rows
        ]
