"""What the audit trail tells of removed runs, versions and jobs, for whoever follows a link to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.errors import NotFound
from respawn_jobs.store.service_tables import NamespaceRow
from respawn_jobs.store.tables import AuditRow

_MAX_LOOKED_AT = 500
"""Records of runs removed together that are looked through."""
RETENTION = "respawn"
"""The actor of records about runs that a job's settings no longer keep."""


def no_run(session: Session, actor: Actor, run_id: str) -> NotFound:
    """Return that there is no such run, with who removed it where the actor may know.

    Args:
        session: reads the audit trail.
        actor: who asks.
        run_id: the run's id.
    """
    record = _newest(session, actor, run_id, "remove run") or _removed_with_others(session, actor, run_id)
    return _not_found(record, f"there is no run {run_id}", f"{run_id} was removed", run=run_id)


def no_job(session: Session, actor: Actor, ref: str) -> NotFound:
    """Return that there is no such job, with who removed it. The actor may read its namespace.

    Args:
        session: reads the audit trail.
        actor: who asks.
        ref: the job's full name, `namespace/name`.
    """
    record = _newest(session, actor, ref, "remove job")
    return _not_found(record, f"there is no job {ref}", f"{ref} was removed", job=ref)


def no_version(session: Session, actor: Actor, ref: str, number: int) -> NotFound:
    """Return that a job has no such version, with who removed it. The actor may read the job.

    Args:
        session: reads the audit trail.
        actor: who asks.
        ref: the job's full name, `namespace/name`.
        number: the version's number.
    """
    record = _newest(session, actor, ref, "remove version", lambda details: details.get("version") == number)
    plain = f"{ref} has no version {number}"
    return _not_found(record, plain, f"version {number} of {ref} was removed", job=ref, version=number)


def _not_found(record: AuditRow | None, plain: str, removed: str, **fields: Any) -> NotFound:
    if record is None:
        return NotFound(plain, **fields)
    when = f"{record.at:%Y-%m-%d %H:%M} UTC"
    by = f"by {record.actor}"
    if record.actor == RETENTION:
        by = "by the service, because its job keeps fewer runs"
    return NotFound(
        f"{removed} {by}, at {when}", **fields, removed_by=record.actor, removed_at=record.at.isoformat()
    )


def _newest(
    session: Session,
    actor: Actor,
    subject: str,
    action: str,
    wanted: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> AuditRow | None:
    """Return the newest record that the actor may read; none of whoever had the namespace's name before."""
    query = select(AuditRow).where(AuditRow.subject == subject, AuditRow.action == action)
    for record in session.scalars(query.order_by(AuditRow.seq.desc()).limit(_MAX_LOOKED_AT)):
        space = session.get(NamespaceRow, record.namespace)
        if not actor.allows("read", record.namespace) or (space and record.seq < (space.audit_from or 0)):
            return None
        if wanted(record.details):
            return record
    return None


def _removed_with_others(session: Session, actor: Actor, run_id: str) -> AuditRow | None:
    """Return the record of a removal of several runs at once: its subject is their job."""
    known = select(AuditRow).where(AuditRow.subject == run_id).order_by(AuditRow.seq.desc()).limit(20)
    jobs = {str(record.details["job"]) for record in session.scalars(known) if "job" in record.details}
    for job in sorted(jobs):
        found = _newest(session, actor, job, "remove runs", lambda details: run_id in details.get("runs", ()))
        if found is not None:
            return found
    return None
