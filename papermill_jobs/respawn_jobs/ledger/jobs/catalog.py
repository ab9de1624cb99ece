"""Jobs and their versions: what one is made of, and how they are listed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.carried_files import NewFile
from respawn_jobs.carried.archive import packed
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.blobs.ownership import encoded, put, store
from respawn_jobs.ledger.context.context import (
    Context,
    InstalledKernel,
    find_job,
    known_namespace,
    unpinned,
)
from respawn_jobs.ledger.context.text_limits import NAME, check_text
from respawn_jobs.ledger.runs.rows import jobs_of, version_of
from respawn_jobs.model.jobs import Job, Version
from respawn_jobs.model.kernels import JobPlace, ServerKernel
from respawn_jobs.notebook import parameters
from respawn_jobs.notebook.parameterization import parameterize
from respawn_jobs.resume.scratch_cells import needed
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


def describe(
    context: Context, notebook: NotebookNode, text: str, kernel_name: str | None, at: JobPlace
) -> dict[str, Any]:
    """Return the columns of a version that follow from a notebook's bytes and its kernel.

    Raises `InvalidInput` for an unknown kernel, or when neither the caller nor the notebook names one.

    Args:
        context: the ledger's surroundings.
        notebook: the notebook.
        text: the same as the text that is stored.
        kernel_name: the kernel; None for the one that the notebook names.
        at: where the job runs.
    """
    name = unpinned(kernel_name) if kernel_name else named_kernel(notebook)
    if not name:
        raise InvalidInput(
            "the notebook names no kernel (metadata.kernelspec.name): choose one (--kernel of the command)"
        )
    kernel = _kernel(context, notebook, check_text("kernel", str(name), NAME), at)
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


def _kernel(context: Context, notebook: NotebookNode, name: str, at: JobPlace) -> InstalledKernel:
    """Return a kernel as it is where a job runs, or else as the notebook tells of it.

    What servers of the hub have may be other than what they had last, or than what this machine has: there
    a kernel that is not known is no error yet. `promotion_preview` asks the person.
    """
    try:
        return context.kernel(name, at)
    except InvalidInput:
        if not context.elsewhere(at):
            raise
        spec, info = notebook.metadata.get("kernelspec") or {}, notebook.metadata.get("language_info") or {}
        language = str(spec.get("language") or info.get("name") or "python").lower()
        return ServerKernel(name=name, display_name=name, language=language)


def carried_columns(files: Sequence[NewFile] | None) -> tuple[dict[str, Any], bytes | None]:
    """Return the columns of a version that tell what it carries, and the archive that is stored of it.

    Args:
        files: what it is to carry; None for a version whose runs work where the notebook lies.

    Raises:
        InvalidInput: they cannot be carried.
    """
    if files is None:
        return {"files": None, "bundle": None}, None
    found, archive = packed(files)
    columns = [file.model_dump(mode="json") for file in found]
    return {"files": columns, "bundle": None if archive is None else digest_of(archive)}, archive


def store_content(context: Context, namespace: str, text: str, archive: bytes | None) -> None:
    """Store what a version is made of. Who names it does so within minutes.

    Args:
        context: the ledger's surroundings.
        namespace: the job's.
        text: the notebook.
        archive: of the files that it carries; None for none.
    """
    store(context, namespace, text)
    if archive is not None:
        put(context, namespace, digest_of(archive), archive)


def named_kernel(notebook: NotebookNode) -> str | None:
    """Return the kernel that a notebook names, if it does.

    JupyterLab writes the name of a debug notebook's pinned build into it; the kernel is meant.
    """
    name = (notebook.metadata.get("kernelspec") or {}).get("name")
    return unpinned(str(name)) if name else None


def add_version(
    context: Context, session: Session, actor: Actor, job: JobRow, content: dict[str, Any], **more: Any
) -> VersionRow:
    """Insert the job's next version; whether new runs use it is for the caller to say.

    Args:
        context: the ledger's surroundings.
        session: the transaction that has locked the job; it writes.
        actor: who makes the version.
        job: the job.
        content: columns that follow from notebook and kernel; see `describe`.
        **more: other columns of the version.
    """
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
    """Return the jobs that the actor may read, by name; see `Service.jobs`.

    Args:
        context: the ledger's surroundings.
        actor: who asks.
        namespace: whose jobs; None for those of all namespaces that the actor may read.
        archived: whether the archived jobs are wanted, in place of the others.

    Raises:
        Forbidden: the actor may not read that namespace.
    """
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
    """Return one job; see `Service.job`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        ref: the job, as `find_job` takes it.

    Raises:
        NotFound, Forbidden: see `find_job`.
    """
    with context.database.session() as session:
        return jobs_of(session, [find_job(session, actor, ref)])[0]


def versions(context: Context, actor: Actor, ref: str) -> list[Version]:
    """Return a job's versions, newest first.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        ref: the job, as `find_job` takes it.

    Raises:
        NotFound, Forbidden: see `find_job`.
    """
    with context.database.session() as session:
        row = find_job(session, actor, ref)
        found = session.scalars(
            select(VersionRow).where(VersionRow.job_id == row.id).order_by(VersionRow.number.desc())
        )
        return [version_of(version, row, context) for version in found]
