"""Who let a job's current version be what it is, as far as the audit trail tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.store.tables import AuditRow, FormerNameRow, JobRow

_MAX_LOOKED_AT = 200


@dataclass(frozen=True)
class Switch:
    """That somebody made a version current."""

    actor: str
    at: datetime
    back: bool
    """Whether by choosing it among the versions, and not by promoting it."""


def last_switch(session: Session, job: JobRow) -> Switch | None:
    """Return who made a job's current version current, under whatever name; None where nothing tells."""
    former = select(FormerNameRow).where(FormerNameRow.job_id == job.id)
    names = [ref_of(job), *(f"{row.namespace}/{row.name}" for row in session.scalars(former))]
    query = select(AuditRow).where(
        AuditRow.subject.in_(names),
        AuditRow.action.in_(("promote", "make_current")),
        # Another job may have had one of the names before.
        AuditRow.at >= job.created_at,
    )
    found: AuditRow | None = None
    for record in session.scalars(query.order_by(AuditRow.seq.desc()).limit(_MAX_LOOKED_AT)):
        if record.details.get("version") != job.version:
            break
        # A promotion of what is current already, with other settings, does not make it so.
        found = record
    return None if found is None else Switch(found.actor, found.at, found.action == "make_current")
