"""Why a runner was not heard any more, as far as it can be known."""

from __future__ import annotations

import os
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from respawn_jobs.model.runs import RunState
from respawn_jobs.store.service_tables import ReplicaRow
from respawn_jobs.store.tables import AttemptRow
from respawn_kernels.counting import how_many

START_GRACE = timedelta(seconds=60)
"""How long a runner may take from being submitted to claiming its attempt."""
_REPLICA_SILENT = timedelta(seconds=10)
"""Replicas report every few seconds: one that missed several reports has ended, or its machine has."""
SERVICE_KILLED = "the service that ran it was killed, or its machine went away, and its runners with it"


def reason(session: Session, attempt: AttemptRow, now: datetime, living: Collection[str]) -> str:
    """Return why the lease of an attempt ran out.

    Args:
        session: a transaction.
        attempt: the attempt, whose lease is over.
        now: the present moment.
        living: attempts whose runner's process the caller sees living.
    """
    if attempt.id in living:
        return _lives(attempt, now)
    replica = session.get(ReplicaRow, attempt.replica) if attempt.replica is not None else None
    if replica is not None and now - replica.seen_at > _REPLICA_SILENT:
        return f"{SERVICE_KILLED} (on {replica.host}, last heard at {replica.seen_at:%H:%M:%S} UTC)"
    if attempt.state == RunState.QUEUED.value:
        return f"no runner claimed the attempt within {how_many(START_GRACE.seconds, 'second')}"
    if attempt.replica is not None and replica is None:
        return SERVICE_KILLED
    return "the runner stopped answering: it was killed, ran out of memory, or its machine is gone"


def _lives(attempt: AttemptRow, now: datetime) -> str:
    heard = attempt.heartbeat_at
    since = f" for {(now - heard).total_seconds():.0f} s" if heard is not None else ""
    load = f"load average {os.getloadavg()[0]:.1f} on {how_many(os.cpu_count() or 1, 'processor')}"
    return (
        f"the runner's process lives but was not heard{since}: the machine was too busy ({load}), the "
        "process was suspended, or it could not reach the service"
    )
