"""What a new job's name and file have to do with jobs that are there."""

from __future__ import annotations

from sqlalchemy import select

from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.convert import ref_of
from respawn_jobs.service import Promotion
from respawn_jobs.service_versions import PromotionQuestion
from respawn_jobs.store.tables import FormerNameRow, JobRow, VersionRow

_MOST_NAMED = 3
"""Jobs that a message names."""


def former_questions(context: Context, ref: str) -> list[PromotionQuestion]:
    """Return what must be agreed to where a job had this name before it was renamed; empty where none had.

    Args:
        context: the store.
        ref: the full name of a job that is not there.
    """
    namespace, _, name = ref.rpartition("/")
    with context.database.session() as session:
        former = (FormerNameRow.namespace == namespace, FormerNameRow.name == name)
        job = session.scalar(select(JobRow).join(FormerNameRow).where(*former))
        if job is None:
            return []
        now = ref_of(job)
    message = (
        f"{now} was called {ref} before, and is still found by that name. A new job takes the name: links "
        f"and commands with {ref} lead to the new one from then on, while schedules stay with {now}. To make "
        f"a version of {now}, promote under that name."
    )
    return [PromotionQuestion(code="take_name", message=message)]


def same_file_message(context: Context, ref: str, request: Promotion) -> str:
    """Return a sentence on the jobs that were made from the same file; empty where there are none.

    Args:
        context: the store.
        ref: the full name of the new job.
        request: what is promoted.
    """
    if request.source is None:
        return ""
    namespace = ref.rpartition("/")[0]
    current = (VersionRow.job_id == JobRow.id, VersionRow.number == JobRow.version)
    query = (
        select(JobRow.name)
        .where(
            JobRow.namespace == namespace, JobRow.archived_at.is_(None), VersionRow.source == request.source
        )
        .join(VersionRow, VersionRow.job_id == JobRow.id)
        .where(*current)
        .order_by(JobRow.name)
        .limit(_MOST_NAMED)
    )
    with context.database.session() as session:
        names = session.scalars(query).all()
    if not names:
        return ""
    listed = " and ".join(f"{namespace}/{name}" for name in names)
    return f" {request.source} is {listed} already; under that name it becomes a version of it."
