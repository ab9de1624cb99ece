"""Which namespaces are not at work, for whatever makes or starts runs."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from respawn_jobs.errors import Conflict
from respawn_jobs.store.service_tables import NamespaceRow
from respawn_jobs.store.tables import JobRow

ACTIVE, SUSPENDED, RETIRED = "active", "suspended", "retired"


def at_work(job_id: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Return the condition that a job's namespace is active."""
    job, its = aliased(JobRow), aliased(NamespaceRow)
    idle = select(its.namespace).join(job, job.namespace == its.namespace)
    return ~idle.where(job.id == job_id, its.state != ACTIVE).correlate_except(job, its).exists()


def idle(session: Session) -> dict[str, str]:
    """Return the namespaces that are not active, and what is said of each."""
    rows = session.scalars(select(NamespaceRow).where(NamespaceRow.state != ACTIVE))
    return {row.namespace: said(row) for row in rows}


def said(row: NamespaceRow) -> str:
    """Return the state of a namespace that is not active, in words."""
    since = f" since {row.since:%Y-%m-%d %H:%M} UTC" if row.since else ""
    return f"{row.namespace} is {row.state}{since}: {row.reason}"


def check_at_work(session: Session, namespace: str) -> None:
    """Raise `Conflict` where a namespace is not active: nothing new is made in it."""
    row = session.get(NamespaceRow, namespace)
    if row is None and namespace.startswith("former/"):
        raise Conflict(f"{namespace} is nobody's: name user/<name> or team/<group>", namespace=namespace)
    if row is not None and row.state != ACTIVE:
        raise Conflict(f"{said(row)}. An administrator can move it", namespace=namespace, state=row.state)
