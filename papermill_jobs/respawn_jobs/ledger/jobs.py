"""Jobs and their versions: what one is made of, and how they are listed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from respawn_jobs import parameters
from respawn_jobs.access import Actor
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.context import Context, find_job, known_namespace
from respawn_jobs.ledger.convert import jobs_of, version_of
from respawn_jobs.ledger.holdings import encoded
from respawn_jobs.ledger.limits import NAME, check_text
from respawn_jobs.models import Job, Version
from respawn_jobs.notebooks import parameterize
from respawn_jobs.scratch import needed
from respawn_jobs.store.tables import JobRow, VersionRow
from respawn_kernels.digest import digest_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

_NAME = re.compile(r"~?[a-z0-9][a-z0-9._-]{0,62}")


def check_job_name(name: str) -> str:
    """Return a name that a job may have. Raises `InvalidInput`."""
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(
            f"{name[:80]!r} is not a job name: use lower-case letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit, 63 at most",
            name=name[:80],
        )
    return name


def describe(context: Context, notebook: NotebookNode, text: str, kernel_name: str | None) -> dict[str, Any]:
    """Return the columns of a version that follow from a notebook's bytes and its kernel.

    Raises `InvalidInput` for an unknown kernel, or when neither the caller nor the notebook names one.
    """
    name = kernel_name or named_kernel(notebook)
    if not name:
        raise InvalidInput(
            "the notebook names no kernel (metadata.kernelspec.name): choose one (--kernel of the command)"
        )
    kernel = context.kernel(check_text("kernel", str(name), NAME))
    declared = parameters.inspect(notebook, name, kernel.language)
    if breaks := needed(notebook, parameterize(notebook, {}, name, kernel.language), kernel.language)[0]:
        raise InvalidInput("; ".join(breaks))
    return {
        "notebook": digest_of(encoded(text)),
        "kernel": name,
        "language": kernel.language,
        "lock": kernel.lock,
        "parameters": [parameter.model_dump(mode="json") for parameter in declared],
    }


def named_kernel(notebook: NotebookNode) -> str | None:
    """Return the kernel that a notebook names, if it does."""
    return (notebook.metadata.get("kernelspec") or {}).get("name") or None


def add_version(
    context: Context, session: Session, actor: Actor, job: JobRow, content: dict[str, Any], **more: Any
) -> VersionRow:
    """Insert the job's next version; whether new runs use it is for the caller to say."""
    version = VersionRow(
        id=new_id("ver"),
        job_id=job.id,
        number=next_number(session, job),
        created_by=actor.name,
        created_at=context.clock(),
        **content,
        **more,
    )
    session.add(version)
    session.flush()
    return version


def next_number(session: Session, job: JobRow) -> int:
    """Return the number that the job's next version has; numbers of removed versions are not used again."""
    last = session.scalar(select(func.max(VersionRow.number)).where(VersionRow.job_id == job.id)) or 0
    return max(last, job.numbered or 0) + 1


def jobs(context: Context, actor: Actor, namespace: str | None, *, archived: bool = False) -> list[Job]:
    """Return the jobs that the actor may read, by name; see `Service.jobs`."""
    kept = JobRow.archived_at.is_not(None) if archived else JobRow.archived_at.is_(None)
    query = select(JobRow).where(kept).order_by(JobRow.namespace, JobRow.name)
    readable = actor.readable()
    if namespace is not None:
        actor.require("read", known_namespace(namespace))
        query = query.where(JobRow.namespace == namespace)
    elif readable is not None:
        query = query.where(JobRow.namespace.in_(readable))
    with context.database.session() as session:
        return jobs_of(session, session.scalars(query).all())


def job(context: Context, actor: Actor, ref: str) -> Job:
    """Return one job; see `Service.job`."""
    with context.database.session() as session:
        return jobs_of(session, [find_job(session, actor, ref)])[0]


def versions(context: Context, actor: Actor, ref: str) -> list[Version]:
    """Return a job's versions, newest first."""
    with context.database.session() as session:
        row = find_job(session, actor, ref)
        found = session.scalars(
            select(VersionRow).where(VersionRow.job_id == row.id).order_by(VersionRow.number.desc())
        )
        return [version_of(version, row) for version in found]
