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

from respawn_jobs.models import RunState
from respawn_jobs.service_queueing import EACH
from respawn_jobs.store.service_tables import LimitRow
from respawn_jobs.store.tables import AttemptRow, RunRow

_EXECUTING = (RunState.QUEUED.value, RunState.RUNNING.value)


class Lane(NamedTuple):
    """What runs have in common that are alike to every limit; within a lane the oldest is the first."""

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


LANE = (RunRow.priority, RunRow.created_by, RunRow.job_id, RunRow.queue, RunRow.namespace)
"""The columns of a `Lane`."""


def lane_of(run: RunRow) -> Lane:
    """Return the lane that a run waits in."""
    return Lane(run.priority, run.created_by, run.job_id, run.queue, run.namespace)


@dataclass
class Occupancy:
    """What executes now."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    of_job: dict[str, str] = field(default_factory=dict)
    """For each job one run of it that executes."""
    of_replica: Counter[str] = field(default_factory=Counter)

    def add(self, run: str, lane: Lane, replica: str | None) -> None:
        """Count one more run."""
        self.counts.update(lane.shares)
        self.of_job.setdefault(lane.job, run)
        if replica is not None:
            self.of_replica[replica] += 1


def occupancy(session: Session) -> Occupancy:
    """Return what executes now. The cost is that of the attempts that have not ended."""
    query = (
        select(RunRow.id, AttemptRow.replica, *LANE)
        .join(AttemptRow, AttemptRow.id == RunRow.current)
        .where(AttemptRow.state.in_(_EXECUTING))
        .order_by(RunRow.created_at, RunRow.id)
    )
    found = Occupancy()
    for run, replica, priority, user, job, queue, namespace in session.execute(query):
        found.add(run, Lane(priority, user, job, queue, namespace), replica)
    return found


class Limits:
    """The limits of namespaces, users and queues as they are set, and those of some jobs."""

    def __init__(self, rows: Iterable[LimitRow], settings: Mapping[str, dict[str, Any]]) -> None:
        """Serve limits.

        Args:
            rows: the limits that are set.
            settings: settings of jobs, by the job's id.
        """
        self._set = {(row.kind, row.name): row.most for row in rows}
        self._settings = settings

    def most(self, kind: str, name: str) -> int | None:
        """Return how many runs may execute at once; None for no limit."""
        if kind == "job":
            return parallel_of(self._settings[name])
        return self._set.get((kind, name), self._set.get((kind, EACH)))

    def reached(self, lane: Lane, now: Occupancy) -> tuple[str, str, int] | None:
        """Return the first limit that lets no run of a lane start, as (kind, name, most); None for none."""
        for kind, name in lane.shares:
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


def limits_now(session: Session, settings: Mapping[str, dict[str, Any]]) -> Limits:
    """Return the limits that are set, with those of the jobs whose settings are given by id."""
    return Limits(session.scalars(select(LimitRow)), settings)
