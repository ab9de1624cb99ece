"""What the store tells of the whole service: how much runs and waits, and who is there.

The queries look at open runs, replicas and unsent notices alone, so they cost the same after a million runs.
What namespaces store is summed up over an index of the blobs that they hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from respawn_jobs.ledger.capacity.suspension import ACTIVE
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.context.quotas import stored_bytes
from respawn_jobs.ledger.notices import delivery
from respawn_jobs.ledger.notices.run_notices import OLDEST
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.service_tables import NamespaceRow, NoticeRow, ReplicaRow
from respawn_jobs.store.tables import AttemptRow, CellRow, RunRow

SILENT = timedelta(seconds=30)
"""How long a replica may say nothing of itself before it counts as gone."""


@dataclass(frozen=True)
class Queue:
    """Runs that wait and may start, of one queue."""

    runs: int
    oldest_seconds: float


@dataclass(frozen=True)
class ServiceFigures:
    """The state of the whole service, the same whichever replica is asked."""

    runs: dict[str, int] = field(default_factory=dict)
    """Open runs by state."""
    queues: dict[str, Queue] = field(default_factory=dict)
    heartbeat_seconds: float = 0.0
    """The longest silence among the runners of running attempts."""
    blocked_cells: int = 0
    """Running cells that give no sign of life for longer than their jobs allow."""
    replicas: dict[str, int] = field(default_factory=dict)
    """How many are `serving`, `draining`, or `silent`."""
    notices_waiting: int = 0
    failing_channels: dict[str, str] = field(default_factory=dict)
    """Channels that refused what they have yet to be sent, and what they said."""
    stored: dict[str, int] = field(default_factory=dict)
    """Bytes that count for the quota of each namespace."""
    waiting: dict[str, int] = field(default_factory=dict)
    """Runs that wait, by namespace."""
    connections: dict[str, int] = field(default_factory=dict)
    """Of this replica's pool: `used` and `idle`."""


def figures(context: Context) -> ServiceFigures:
    """Ask the store. Raises `Unavailable` when it does not answer."""
    now = context.clock()
    with context.database.session() as session:
        states = [state.value for state in RunState if not state.final]
        counted = session.execute(
            select(RunRow.state, func.count()).where(RunRow.state.in_(states)).group_by(RunRow.state)
        )
        notices = select(func.count()).where(NoticeRow.sent_at.is_(None), NoticeRow.at > now - OLDEST)
        return ServiceFigures(
            runs={**dict.fromkeys(states, 0), **{state: int(count) for state, count in counted}},
            queues=_queues(session, now),
            heartbeat_seconds=_silence(session, now),
            blocked_cells=_blocked(session),
            replicas=_replicas(session, now),
            notices_waiting=session.scalar(notices) or 0,
            failing_channels=delivery.failing_in(session, now),
            stored=stored_bytes(session),
            waiting=_waiting(session),
            connections=_connections(context),
        )


def _queues(session: Session, now: datetime) -> dict[str, Queue]:
    ready = func.coalesce(RunRow.not_before, RunRow.due_at, RunRow.created_at)
    suspended = select(NamespaceRow.namespace).where(NamespaceRow.state != ACTIVE)
    rows = session.execute(
        select(RunRow.queue, func.count(), func.min(ready))
        .where(RunRow.state == RunState.QUEUED.value, RunRow.current.is_(None))
        .where(or_(RunRow.not_before.is_(None), RunRow.not_before <= now), RunRow.namespace.not_in(suspended))
        .group_by(RunRow.queue)
    )
    return {queue: Queue(count, _seconds(now, first)) for queue, count, first in rows}


def _waiting(session: Session) -> dict[str, int]:
    query = select(RunRow.namespace, func.count()).where(RunRow.state == RunState.QUEUED.value)
    return {name: int(count) for name, count in session.execute(query.group_by(RunRow.namespace))}


def _silence(session: Session, now: datetime) -> float:
    query = (
        select(func.min(AttemptRow.heartbeat_at))
        .join(RunRow, RunRow.current == AttemptRow.id)
        .where(RunRow.state == RunState.RUNNING.value, AttemptRow.state == RunState.RUNNING.value)
    )
    return _seconds(now, session.scalar(query))


def _blocked(session: Session) -> int:
    query = (
        select(func.count())
        .select_from(RunRow)
        .join(CellRow, and_(CellRow.run_id == RunRow.id, CellRow.attempt == RunRow.attempt))
        .where(RunRow.state == RunState.RUNNING.value, CellRow.blocked_since.is_not(None))
    )
    return session.scalar(query) or 0


def _replicas(session: Session, now: datetime) -> dict[str, int]:
    found = {"serving": 0, "draining": 0, "silent": 0}
    for seen_at, draining in session.execute(select(ReplicaRow.seen_at, ReplicaRow.draining)):
        found["silent" if now - seen_at > SILENT else "draining" if draining else "serving"] += 1
    return found


def _connections(context: Context) -> dict[str, int]:
    pool = context.database.engine.pool
    if not isinstance(pool, QueuePool):
        return {}
    return {"used": pool.checkedout(), "idle": pool.checkedin()}


def _seconds(now: datetime, since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
