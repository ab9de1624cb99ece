"""Promotion: a notebook becomes an immutable version of a job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs import parameters
from respawn_jobs.access import Actor
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.ids import new_id
from respawn_jobs.ledger import audit
from respawn_jobs.ledger.context import Context, find_job, known_namespace
from respawn_jobs.ledger.convert import jobs_of, ref_of, version_of
from respawn_jobs.ledger.deadlines import settings_changed
from respawn_jobs.ledger.holdings import encoded, store
from respawn_jobs.ledger.limits import NAME, check_text
from respawn_jobs.ledger.suspension import check_at_work
from respawn_jobs.models import Job, JobSettings, Version
from respawn_jobs.notebooks import parameterize, read_notebook
from respawn_jobs.scratch import needed
from respawn_jobs.service import Promotion
from respawn_jobs.store.tables import JobRow, VersionRow
from respawn_kernels.digest import digest_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

_NAME = re.compile(r"~?[a-z0-9][a-z0-9._-]{0,62}")


def promote(context: Context, actor: Actor, request: Promotion) -> Version:
    """Make a version, and the job with it when it is new; see `Service.promote`.

    The current version is answered again when bytes, kernel, lock and directory are the same.
    """
    check_job_name(request.name)
    namespace = known_namespace(request.namespace or actor.namespace)
    actor.require("edit", namespace)
    if request.directory is not None:
        check_text("directory", request.directory)
    notebook = read_notebook(request.notebook)
    content = describe(context, notebook, request.notebook, request.kernel)
    context.quotas.check_room(context, namespace, len(request.notebook))
    store(context, namespace, request.notebook)
    try:
        with context.database.session(write=True) as session:
            check_at_work(session, namespace)
            job, version, made = _store(context, session, actor, namespace, request, content)
            if made:
                audit.write(
                    context, session, actor.name, "promote", namespace, ref_of(job),
                    version=version.number, notebook=version.notebook, kernel=version.kernel,
                )  # fmt: skip
            return version_of(version, job)
    except IntegrityError as error:
        raise Conflict(
            f"{namespace}/{request.name} was promoted by someone else at the same moment; try again",
            job=f"{namespace}/{request.name}",
        ) from error


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
        raise InvalidInput("the notebook names no kernel (metadata.kernelspec.name); say which one to use")
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
    last = session.scalar(select(func.max(VersionRow.number)).where(VersionRow.job_id == job.id)) or 0
    version = VersionRow(
        id=new_id("ver"),
        job_id=job.id,
        number=last + 1,
        created_by=actor.name,
        created_at=context.clock(),
        **content,
        **more,
    )
    session.add(version)
    session.flush()
    return version


def jobs(context: Context, actor: Actor, namespace: str | None) -> list[Job]:
    """Return the jobs that the actor may read, by name; see `Service.jobs`."""
    query = select(JobRow).order_by(JobRow.namespace, JobRow.name)
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


def _store(
    context: Context,
    session: Session,
    actor: Actor,
    namespace: str,
    request: Promotion,
    content: dict[str, Any],
) -> tuple[JobRow, VersionRow, bool]:
    """Return the job, its version, and whether anything was written."""
    settings = request.settings.model_dump(mode="json") if request.settings else None
    job = session.scalar(
        select(JobRow).where(JobRow.namespace == namespace, JobRow.name == request.name).with_for_update()
    )
    if job is None:
        job = JobRow(
            id=new_id("job"),
            namespace=namespace,
            name=request.name,
            version=0,
            settings=settings or JobSettings().model_dump(mode="json"),
            created_by=actor.name,
            created_at=context.clock(),
        )
        session.add(job)
        session.flush()
    changed = settings is not None and settings != job.settings
    if settings is not None:
        before = JobSettings.model_validate(job.settings) if job.version else None
        job.settings = settings
        settings_changed(context, job, before)
    current = session.scalar(
        select(VersionRow).where(VersionRow.job_id == job.id, VersionRow.number == job.version)
    )
    same = ("notebook", "kernel", "lock")
    if (
        current is not None
        and all(getattr(current, name) == content[name] for name in same)
        and request.directory in (None, current.directory)
    ):
        return job, current, changed
    git = request.git.model_dump(mode="json") if request.git else None
    version = add_version(
        context, session, actor, job, content, directory=request.directory, git=git, parent=None
    )
    job.version = version.number
    return job, version, True
