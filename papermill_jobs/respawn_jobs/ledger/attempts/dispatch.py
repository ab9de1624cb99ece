"""Which queued run starts next, and that it starts once.

Runs wait in partitions: those of one job, user, queue and priority are alike to every limit, and only the
oldest of them is looked at, found by a loose index scan. So a decision costs what there are partitions, not
what there are runs. Of the partitions that no limit holds back the one with the highest priority starts
first; among equals that of the user with the fewest executing runs; then the one whose first run is oldest.

Replicas decide one after the other: each holds one lock of the database while it does, so a limit holds for
all of them together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Row, select, text, update
from sqlalchemy.orm import Session

from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.attempts.lifecycle import open_next
from respawn_jobs.ledger.capacity.concurrency import (
    QUEUE_PARTITION,
    Occupancy,
    QueuePartition,
    limits_now,
    occupancy,
)
from respawn_jobs.ledger.capacity.suspension import idle
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.model.kernels import ForeseenRun, JobPlace, WantedKernel
from respawn_jobs.store.tables import DELAYED, WAITING, JobRow, RunRow

_LOCK = 0x7265737061776E02
_WAIT_FOR_LOCK = "5s"
_MAX_PAUSE = "10s"
"""How long a replica may be frozen while it decides, before the database takes its lock away."""

# Loose scans of the index `runs_waiting`: from the first run of one partition to the first run of the next.
_KEY = "priority, created_by, job_id, queue"
_HEADS = {
    "postgresql": text(f"""
        WITH RECURSIVE heads AS (
            (SELECT id, {_KEY} FROM runs WHERE {WAITING} ORDER BY {_KEY}, created_at, id LIMIT 1)
            UNION ALL
            SELECT following.* FROM heads CROSS JOIN LATERAL (
                SELECT id, {_KEY} FROM runs
                WHERE {WAITING}
                    AND ({_KEY}) > (heads.priority, heads.created_by, heads.job_id, heads.queue)
                ORDER BY {_KEY}, created_at, id LIMIT 1
            ) AS following
        )
        SELECT id FROM heads
    """),  # noqa: S608  constants
    # SQLite knows no LATERAL. It looks a text up by all columns only when it is compared with an expression.
    "sqlite": text(f"""
        WITH RECURSIVE heads(id) AS (
            SELECT (SELECT id FROM runs WHERE {WAITING} ORDER BY {_KEY}, created_at, id LIMIT 1)
            UNION ALL
            SELECT (
                SELECT waiting.id
                FROM (SELECT {_KEY} FROM runs WHERE id = heads.id) AS head
                CROSS JOIN (SELECT * FROM runs WHERE {WAITING}) AS waiting
                WHERE (waiting.priority, waiting.created_by, waiting.job_id, waiting.queue)
                    > (head.priority, head.created_by || '', head.job_id || '', head.queue || '')
                ORDER BY waiting.priority, waiting.created_by, waiting.job_id, waiting.queue,
                    waiting.created_at, waiting.id
                LIMIT 1
            ) FROM heads WHERE heads.id IS NOT NULL
        )
        SELECT id FROM heads WHERE id IS NOT NULL
    """),  # noqa: S608  constants
}


class Claimed(NamedTuple):
    """A run that starts now, and what its runner proves itself with."""

    run: str
    attempt: str
    token: str
    place: JobPlace


_FIRST = select(RunRow.id, RunRow.created_at, *QUEUE_PARTITION)


@dataclass
class _Head:
    """The first run of a partition."""

    partition: QueuePartition
    run: str
    created_at: datetime


class _Jobs:
    """The jobs of partitions: the limits of their runs, and where these execute, by their settings of now."""

    def __init__(self, context: Context, session: Session, heads: list[_Head]) -> None:
        ids = {head.partition.job for head in heads}
        found = session.execute(select(JobRow.id, JobRow.settings).where(JobRow.id.in_(ids)))
        self._settings = {row.id: row.settings for row in found}
        self._context = context
        self._profiles: dict[JobPlace, str | None] = {}
        self.limits = limits_now(session, self._settings)

    def place(self, head: _Head) -> JobPlace:
        """Return where the runs of a partition execute."""
        return JobPlace(head.partition.namespace, self._settings[head.partition.job].get("profile"))

    def has_place(self, head: _Head) -> bool:
        """Return whether there is such a place: a profile may have been removed."""
        try:
            self._profiles[self.place(head)] = self._context.places.kind(self.place(head)).profile
        except Unavailable:
            return False
        return True

    def profile(self, head: _Head) -> str | None:
        """Return the profile of the servers of a place that there is; None for none."""
        return self._profiles[self.place(head)]


def claim(
    context: Context,
    executor: str,
    replica: str | None,
    slots: int,
    places: Mapping[JobPlace, int] | None = None,
) -> list[Claimed]:
    """Open attempts for as many waiting runs as may start, at most `slots`; in one transaction.

    Args:
        context: the ledger's surroundings.
        executor: what will start the runners.
        replica: the service's replica that it belongs to.
        slots: how many runners it can start now.
        places: how many of each place; None for any.

    Raises:
        Unavailable: the database does not answer, or another replica does not end its decision.
    """
    if slots <= 0 or not _anything_to_do(context):
        return []
    with context.database.session(write=True) as session:
        _take_turns(session)
        _release(session, context.clock())
        suspended = idle(session)
        heads = [head for head in _heads(session) if head.partition.namespace not in suspended]
        left = None if places is None else Counter(places)
        jobs, now = _Jobs(context, session, heads), occupancy(session)
        heads = [head for head in heads if jobs.has_place(head)]
        claimed: list[Claimed] = []
        while heads and len(claimed) < slots:
            heads = [head for head in heads if jobs.limits.reached(head.partition, now) is None]
            heads = [head for head in heads if left is None or left[jobs.place(head)] > 0]
            if not heads:
                break
            head = min(heads, key=lambda head: _turn(head, now))
            heads.remove(head)
            run = session.scalar(
                select(RunRow).where(RunRow.id == head.run, text(WAITING)).with_for_update(skip_locked=True)
            )
            # None: somebody cancels it at this moment; what comes after it in its partition need not wait.
            if run is not None:
                place = jobs.place(head)
                opened = open_next(context, session, run, executor, replica, jobs.profile(head))
                claimed.append(Claimed(run.id, *opened, place))
                if left is not None:
                    left[place] -= 1
                now.add(run.id, head.partition, replica)
            following = _after(session, head)
            heads += [following] if following else []
        return claimed


def foreseen(context: Context, limit: int) -> list[ForeseenRun]:
    """Return the runs that wait, about in the order in which they start.

    Those that go on from a state are left out: their kernel hashes texts as that of the state did.

    Args:
        context: the ledger's surroundings.
        limit: how many runs at most.
    """
    query = (
        select(RunRow.namespace, RunRow.kernel, RunRow.lock, JobRow.settings)
        .join(JobRow, JobRow.id == RunRow.job_id)
        .where(text(WAITING), RunRow.resume.is_(None), RunRow.retry.is_(None))
        .order_by(RunRow.priority.desc(), RunRow.created_at, RunRow.id)
        .limit(limit)
    )
    with context.database.session() as session:
        found = session.execute(query)
        return [
            ForeseenRun(namespace, WantedKernel(name, lock), settings.get("profile"))
            for namespace, name, lock, settings in found
        ]


def waiting_places(context: Context) -> list[JobPlace]:
    """Return where the runs execute that no limit keeps from starting; those that wait longest first.

    Args:
        context: the ledger's surroundings.
    """
    if not _anything_to_do(context):
        return []
    with context.database.session(write=True) as session:
        _take_turns(session)
        _release(session, context.clock())
        suspended = idle(session)
        heads = [head for head in _heads(session) if head.partition.namespace not in suspended]
        jobs, now = _Jobs(context, session, heads), occupancy(session)
        free = [head for head in heads if jobs.limits.reached(head.partition, now) is None]
        return list(
            dict.fromkeys(jobs.place(head) for head in sorted(free, key=lambda head: head.created_at))
        )


def _turn(head: _Head, now: Occupancy) -> tuple[int, int, datetime, str]:
    return -head.partition.priority, now.counts["user", head.partition.user], head.created_at, head.run


def _anything_to_do(context: Context) -> bool:
    """Return whether a run may wait, without the lock that a decision needs."""
    with context.database.session() as session:
        if session.scalar(select(RunRow.id).where(text(WAITING)).limit(1)) is not None:
            return True
        due = text(DELAYED), RunRow.not_before <= context.clock()
        return session.scalar(select(RunRow.id).where(*due).limit(1)) is not None


def _take_turns(session: Session) -> None:
    """Let one replica decide at a time; on SQLite the transaction's write lock does."""
    if session.get_bind().dialect.name != "postgresql":
        return
    session.execute(
        text(
            "SELECT set_config('lock_timeout', :wait, true), "
            "set_config('idle_in_transaction_session_timeout', :pause, true)"
        ),
        {"wait": _WAIT_FOR_LOCK, "pause": _MAX_PAUSE},
    )
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _release(session: Session, now: datetime) -> None:
    """Let runs wait for their turn that waited for a time which has come."""
    due = (
        select(RunRow.id)
        .where(text(DELAYED), RunRow.not_before <= now)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    session.execute(
        update(RunRow)
        .where(RunRow.id.in_(due))
        .values(not_before=None, revision=RunRow.revision + 1)
        .execution_options(synchronize_session=False)
    )


def _heads(session: Session) -> list[_Head]:
    """Return the first run of each partition."""
    ids = list(session.scalars(_HEADS[session.get_bind().dialect.name]))
    return [_head(row) for row in session.execute(_FIRST.where(RunRow.id.in_(ids)))]


def _after(session: Session, head: _Head) -> _Head | None:
    """Return the run that comes after another in its partition."""
    partition = head.partition
    later = (RunRow.created_at > head.created_at) | (
        (RunRow.created_at == head.created_at) & (RunRow.id > head.run)
    )
    query = (
        _FIRST.where(
            text(WAITING),
            RunRow.priority == partition.priority,
            RunRow.created_by == partition.user,
            RunRow.job_id == partition.job,
            RunRow.queue == partition.queue,
            RunRow.created_at >= head.created_at,
            later,
        )
        .order_by(RunRow.created_at, RunRow.id)
        .limit(1)
    )
    row = session.execute(query).first()
    return _head(row) if row is not None else None


def _head(row: Row[str, datetime, int, str, str, str, str]) -> _Head:
    run, created_at, priority, user, job, queue, namespace = row
    return _Head(QueuePartition(priority, user, job, queue, namespace), run, created_at)
