"""How many runs may execute at once: per job, namespace, user and queue; and how many do.

What executes is an attempt that has not ended, whoever opened it. A job's own limit is its setting of now,
not that of the moment when a run was queued: who lowers it, or lifts it, means the runs that wait already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.api.queueing import EACH
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.service_tables import LimitRow
from respawn_jobs.store.tables import AttemptRow, RunRow

_EXECUTING = tuple(state.value for state in RunState if state.executing)


class QueuePartition(NamedTuple):
    """What runs have in common that are alike to every limit; within a partition the oldest is the first."""

    priority: int
    user: str
    job: str
    queue: str
    namespace: str

    @property
    def shares(self) -> tuple[tuple[str, str], ...]:
        """What is counted for a run, as (kind, name)."""
        return (
            ("job", self.job),
            ("namespace", self.namespace),
            ("user", self.user),
            ("queue", self.queue),
        )


QUEUE_PARTITION = (RunRow.priority, RunRow.created_by, RunRow.job_id, RunRow.queue, RunRow.namespace)
"""The columns of a `QueuePartition`."""


def partition_of(run: RunRow) -> QueuePartition:
    """Return the partition that a run waits in."""
    return QueuePartition(run.priority, run.created_by, run.job_id, run.queue, run.namespace)


@dataclass
class Occupancy:
    """What executes now."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    of_job: dict[str, str] = field(default_factory=dict)
    """For each job one run of it that executes."""
    of_replica: Counter[str] = field(default_factory=Counter)

    def add(self, run: str, partition: QueuePartition, replica: str | None) -> None:
        """Count one more run.

        Args:
            run: the run's id.
            partition: the partition that it waited in.
            replica: id of the service's replica that executes it; None outside of a service.
        """
        self.counts.update(partition.shares)
        self.of_job.setdefault(partition.job, run)
        if replica is not None:
            self.of_replica[replica] += 1


def occupancy(session: Session) -> Occupancy:
    """Return what executes now. The cost is that of the attempts that have not ended."""
    query = (
        select(RunRow.id, AttemptRow.replica, *QUEUE_PARTITION)
        .join(AttemptRow, AttemptRow.id == RunRow.current)
        .where(AttemptRow.state.in_(_EXECUTING))
        .order_by(RunRow.created_at, RunRow.id)
    )
    found = Occupancy()
    for run, replica, priority, user, job, queue, namespace in session.execute(query):
        found.add(run, QueuePartition(priority, user, job, queue, namespace), replica)
    return found


class ConcurrencyLimits:
    """The limits of namespaces, users and queues as they are set, and those of some jobs."""

    def __init__(self, rows: Iterable[LimitRow], settings: Mapping[str, dict[str, Any]]) -> None:
        """Serve limits.

        Args:
            rows: the limits that are set.
            settings: settings of jobs, by the job's id.
        """
        self._set = {(row.kind, row.name): row.max_running for row in rows}
        self._settings = settings

    def most(self, kind: str, name: str) -> int | None:
        """Return how many runs may execute at once; None for no limit."""
        if kind == "job":
            return parallel_of(self._settings[name])
        return self._set.get((kind, name), self._set.get((kind, EACH)))

    def reached(self, partition: QueuePartition, now: Occupancy) -> tuple[str, str, int] | None:
        """Return the first limit that lets no run of a partition start: (kind, name, most), or None."""
        for kind, name in partition.shares:
            most = self.most(kind, name)
            if most is not None and now.counts[kind, name] >= most:
                return kind, name, most
        return None


def parallel_of(settings: dict[str, Any]) -> int | None:
    """Return how many runs of a job may execute at once; None for no limit of its own.

    A job whose runs must not overlap has the limit 1 without saying so.
    """
    most: int | None = settings.get("max_parallel")
    return 1 if most is None and settings.get("overlap", "queue") != "queue" else most


def limits_now(session: Session, settings: Mapping[str, dict[str, Any]]) -> ConcurrencyLimits:
    """Return the limits that are set, with those of the jobs whose settings are given by id."""
    return ConcurrencyLimits(session.scalars(select(LimitRow)), settings)
