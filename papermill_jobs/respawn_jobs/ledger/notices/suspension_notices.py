"""Notices of namespaces that were suspended: to administrators, and to the channels of their jobs."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.ledger.context.context import Context
from respawn_jobs.model.notices import Notice
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.service_tables import NamespaceRow, NoticeRow
from respawn_jobs.store.tables import JobRow


def add_notices(context: Context, session: Session, row: NamespaceRow, stopped: int = 0) -> None:
    """Write a notice for each channel of administrators, and for each that a job of the namespace names.

    Args:
        context: the ledger's surroundings.
        session: writes them.
        row: the namespace that was suspended.
        stopped: how many of its runs were executing, and are cancelled.
    """
    jobs = session.scalars(
        select(JobRow).where(JobRow.namespace == row.namespace).order_by(JobRow.created_at, JobRow.id)
    ).all()
    if not jobs:
        return
    about = dict.fromkeys(context.channels.administrators(), jobs[0].id)
    for job in jobs:
        for channel in JobSettings.model_validate(job.settings).notify:
            about.setdefault(channel, job.id)
    now = context.clock()
    notice = Notice(
        namespace=row.namespace, former=row.former, doing=row.reason or "", jobs=len(jobs), stopped=stopped
    )
    session.add_all(
        NoticeRow(
            key=f"suspended:{row.namespace}:{now.isoformat()}:{channel}"[:255],
            job_id=job_id,
            channel=channel,
            kind="suspended",
            at=now,
            details=notice.model_dump(mode="json"),
            not_before=now,
        )
        for channel, job_id in about.items()
    )
    session.flush()
