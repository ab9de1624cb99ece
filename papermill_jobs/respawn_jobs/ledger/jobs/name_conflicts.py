"""What a new job's name and file have to do with jobs that are there."""

from __future__ import annotations

from sqlalchemy import select

from respawn_jobs.api.service import Promotion
from respawn_jobs.api.versions import PromotionQuestion
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.store.tables import FormerNameRow, JobRow, VersionRow

_MAX_NAMED = 3
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


def jobs_of_file(context: Context, ref: str, request: Promotion) -> list[str]:
    """Return the full names of jobs that were made from the same file, the one promoted last first.

    Args:
        context: the store.
        ref: the full name of a job in the namespace to look in.
        request: what is promoted.
    """
    if request.source is None:
        return []
    namespace = ref.rpartition("/")[0]
    current = (VersionRow.job_id == JobRow.id, VersionRow.number == JobRow.version)
    query = (
        select(JobRow.name)
        .where(
            JobRow.namespace == namespace, JobRow.archived_at.is_(None), VersionRow.source == request.source
        )
        .join(VersionRow, VersionRow.job_id == JobRow.id)
        .where(*current)
        .order_by(VersionRow.created_at.desc(), JobRow.name)
        .limit(_MAX_NAMED)
    )
    with context.database.session() as session:
        return [f"{namespace}/{name}" for name in session.scalars(query)]


def same_file_message(jobs: list[str], request: Promotion) -> str:
    """Return a sentence on the jobs that were made from the same file; empty where there are none."""
    if not jobs:
        return ""
    listed = " and ".join(sorted(jobs))
    return f" {request.source} is {listed} already; under that name it becomes a version of it."
