"""What versions of a job hold, and how they differ."""

from __future__ import annotations

from collections.abc import Iterator

from respawn_jobs.access import Actor
from respawn_jobs.api.versions import Comparison
from respawn_jobs.carried.archive import content_of
from respawn_jobs.carried.changes import changed_places, file_changes, files_of
from respawn_jobs.errors import NotFound
from respawn_jobs.ledger.context.context import Context, find_job, find_version
from respawn_jobs.ledger.context.removed_records import no_version
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.notebook.diff import compare
from respawn_jobs.notebook.document import read_notebook


def notebook(context: Context, actor: Actor, ref: str, number: int) -> str:
    """Return the text of a version's notebook; see `VersionService.version_notebook`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        ref: the job, as `find_job` takes it.
        number: the version's number.

    Raises:
        NotFound, Forbidden: see `find_job`.
    """
    return context.blobs.get(_digest(context, actor, ref, number)).decode()


def stream_notebook(context: Context, actor: Actor, ref: str, number: int) -> Iterator[bytes]:
    """Return what `notebook` does, in pieces; access is checked at once.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        ref: the job, as `find_job` takes it.
        number: the version's number.

    Raises:
        NotFound, Forbidden: see `find_job`.
    """
    return context.blobs.stream(_digest(context, actor, ref, number))


def compare_versions(context: Context, actor: Actor, ref: str, old: int, new: int) -> Comparison:
    """Tell how two versions of a job differ; see `VersionService.compare_versions`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        ref: the job, as `find_job` takes it.
        old: number of the version to compare with.
        new: number of the version that is compared.

    Raises:
        NotFound, Forbidden: see `find_job`.
    """
    with context.database.session() as session:
        job = find_job(session, actor, ref)
        rows = [find_version(session, job, number) for number in (old, new)]
        digests, kernels = [row.notebook for row in rows], (rows[0].kernel, rows[1].kernel)
        files = [files_of(row.files) for row in rows]
    before, after = (read_notebook(context.blobs.get(digest).decode()) for digest in digests)
    return Comparison(
        old=old, new=new, cells=compare(before, after),
        kernels=kernels if kernels[0] != kernels[1] else None,
        files=file_changes(*files), places=changed_places(*files),
    )  # fmt: skip


def version_file(context: Context, actor: Actor, ref: str, number: int, path: str) -> bytes:
    """Return a file that a version carries; see `VersionService.version_file`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        ref: the job, as `find_job` takes it.
        number: the version's number.
        path: the file's path below the notebook's directory.

    Raises:
        NotFound: the version carries no such file.
        NotFound, Forbidden: see `find_job`.
    """
    with context.database.session() as session:
        version = find_version(session, find_job(session, actor, ref), number)
        files, bundle = files_of(version.files) or [], version.bundle
    found = next((one for one in files if one.path == path), None)
    if found is None or bundle is None:
        raise NotFound(
            f"version {number} of {ref} carries no {path[:200]!r}", version=number, path=path[:200]
        )
    return content_of(context.blobs.get(bundle), found)


def missing_version(context: Context, actor: Actor, ref: str, number: int) -> NotFound:
    """Return that a job has no such version, with who removed it and when, where that is known.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        ref: the job, as `find_job` takes it.
        number: the version's number.
    """
    with context.database.session() as session:
        return no_version(session, actor, ref_of(find_job(session, actor, ref)), number)


def _digest(context: Context, actor: Actor, ref: str, number: int) -> str:
    with context.database.session() as session:
        return find_version(session, find_job(session, actor, ref), number).notebook
