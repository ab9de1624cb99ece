"""What is not at work, for whatever makes or starts runs: namespaces that are not active, archived jobs."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from respawn_jobs.errors import Conflict, NotFound
from respawn_jobs.store.service_tables import NamespaceRow
from respawn_jobs.store.tables import JobRow

ACTIVE, SUSPENDED, RETIRED = "active", "suspended", "retired"


def at_work(job_id: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Return the condition that a job's namespace is active and the job is not archived."""
    job, its = aliased(JobRow), aliased(NamespaceRow)
    idle = select(job.id).join(its, job.namespace == its.namespace, isouter=True)
    idle = idle.where(job.id == job_id, or_(its.state != ACTIVE, job.archived_at.is_not(None)))
    return ~idle.correlate_except(job, its).exists()


def idle(session: Session) -> dict[str, str]:
    """Return the namespaces that are not active, and the reason of each."""
    rows = session.scalars(select(NamespaceRow).where(NamespaceRow.state != ACTIVE))
    return {row.namespace: state_text(row) for row in rows}


def state_text(row: NamespaceRow) -> str:
    """Return the state of a namespace that is not active, in words."""
    since = f" since {row.since:%Y-%m-%d %H:%M} UTC" if row.since else ""
    return f"{row.namespace} is {row.state}{since}: {row.reason}"


def suspension_message(row: NamespaceRow | None) -> str | None:
    """Return that a namespace is not active, and who can change that; None for one that is."""
    if row is None or row.state == ACTIVE:
        return None
    return f"{state_text(row)}. An administrator can move it"


def check_at_work(session: Session, namespace: str) -> None:
    """Raise `Conflict` where a namespace is not active: nothing new is made in it."""
    row = session.get(NamespaceRow, namespace)
    if row is None and namespace.startswith("former/"):
        raise Conflict(f"{namespace} is nobody's: name user/<name> or team/<group>", namespace=namespace)
    if row is not None and (idle_now := suspension_message(row)) is not None:
        raise Conflict(idle_now, namespace=namespace, state=row.state)


def locked_job(session: Session, job_id: str) -> JobRow:
    """Lock a job's row until this transaction is over, and return it as it is now.

    Whoever makes a run of a job holds this lock, and so does whoever archives or removes it: a run is made
    before the archive, which then counts it, or is refused after it. Rows that refer to the job can be
    inserted meanwhile. Raises `NotFound` for a job that was removed.
    """
    # Not the lock that a plain FOR UPDATE takes: it would hold up whoever inserts a run of the job.
    query = select(JobRow).where(JobRow.id == job_id).with_for_update(key_share=True)
    job = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if job is None:
        raise NotFound(f"the job {job_id} was removed meanwhile", job=job_id)
    return job


def archive_message(job: JobRow) -> str | None:
    """Return that a job is archived, since when and by whom; None for one that is not."""
    if job.archived_at is None:
        return None
    return (
        f"{job.namespace}/{job.name} is archived, since {job.archived_at:%Y-%m-%d %H:%M} UTC "
        f"by {job.archived_by}: restore it first, on its page or with "
        f"`respawn job restore {job.namespace}/{job.name}`"
    )


def check_not_archived(job: JobRow) -> None:
    """Raise `Conflict` for an archived job: it makes no runs, and gets nothing that would make some."""
    archived = archive_message(job)
    if archived is not None:
        raise Conflict(archived, job=f"{job.namespace}/{job.name}", archived=True)
