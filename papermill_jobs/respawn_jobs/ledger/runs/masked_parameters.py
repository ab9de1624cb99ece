"""Parameters as people are shown them: without the values of those that are secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, object_session

from respawn_jobs.notebook.secret_parameters import masked, secret_names
from respawn_jobs.store.tables import JobRow, RunRow, VersionRow


def shown_by_run(session: Session, rows: Sequence[RunRow]) -> dict[str, dict[str, Any]]:
    """Return the parameters of runs, by the run's id, without secrets."""
    versions = {row.version_id for row in rows if row.parameters}
    found = session.execute(select(VersionRow.id, VersionRow.parameters).where(VersionRow.id.in_(versions)))
    declared = {row.id: row.parameters for row in found} if versions else {}
    return {row.id: shown(row.parameters, declared.get(row.version_id, [])) for row in rows}


def declared_by_job(session: Session, jobs: Sequence[JobRow]) -> dict[str, list[dict[str, Any]]]:
    """Return what the current versions of jobs declare, by the job's id."""
    current = and_(VersionRow.job_id == JobRow.id, VersionRow.number == JobRow.version)
    found = session.execute(
        select(JobRow.id, VersionRow.parameters)
        .join(VersionRow, current)
        .where(JobRow.id.in_([job.id for job in jobs]))
    )
    return {row.id: row.parameters for row in found}


def shown_by_trigger(values: Mapping[str, Any], job: JobRow) -> dict[str, Any]:
    """Return what a trigger of a job gives its runs, without secrets."""
    session = object_session(job)
    declared = declared_by_job(session, [job]).get(job.id, []) if session is not None and values else []
    return shown(values, declared)


def shown(values: Mapping[str, Any], declared: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return values without those that are secret, by what a version declares."""
    return masked(values, secret_names(declared, values))
