"""Which kernel environments the store still needs, by their hashes: those must not be removed."""

from __future__ import annotations

from sqlalchemy import or_, select

from respawn_jobs.ledger.context.context import Context
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.tables import JobRow, RunRow, VersionRow

_OVER = RunState.SUCCEEDED.value
"""Runs in all other states go on, or can be debugged and resumed."""


def pinned_environments(context: Context) -> dict[str, list[str]]:
    """Return the hashes of environments that versions or runs need, each with the jobs that need it.

    They are those of every version of a job that is not archived, and of every run that has not succeeded
    or is pinned itself.
    """
    versions = (
        select(VersionRow.lock, JobRow.namespace, JobRow.name)
        .join(JobRow, JobRow.id == VersionRow.job_id)
        .where(VersionRow.lock.is_not(None), JobRow.archived_at.is_(None))
    )
    runs = (
        select(RunRow.lock, JobRow.namespace, JobRow.name)
        .join(JobRow, JobRow.id == RunRow.job_id)
        .where(RunRow.lock.is_not(None), or_(RunRow.state != _OVER, RunRow.pinned))
    )
    found: dict[str, set[str]] = {}
    with context.database.session() as session:
        for query in (versions, runs):
            for lock, namespace, name in session.execute(query.distinct()):
                found.setdefault(str(lock), set()).add(f"{namespace}/{name}")
    return {lock: sorted(jobs) for lock, jobs in found.items()}
