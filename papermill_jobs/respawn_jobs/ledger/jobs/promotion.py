"""Promotion: a notebook becomes an immutable version of a job.

What a promotion would do is worked out before the job is locked, since notebooks are read for it. Under the
lock it holds only if the job is as it was then; else it is worked out anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion
from respawn_jobs.api.versions import PromotionPreview
from respawn_jobs.carried.changes import files_of
from respawn_jobs.errors import Conflict
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import check_at_work, check_not_archived
from respawn_jobs.ledger.context.context import Context, find_version, known_namespace, take_name
from respawn_jobs.ledger.context.job_places import check_profile, place_of
from respawn_jobs.ledger.context.limit_ceiling import check_settings
from respawn_jobs.ledger.context.text_limits import check_text
from respawn_jobs.ledger.jobs.catalog import (
    add_version,
    carried_columns,
    check_job_name,
    describe,
    store_content,
)
from respawn_jobs.ledger.jobs.kernel_places import offered
from respawn_jobs.ledger.jobs.opened_files import opened_files
from respawn_jobs.ledger.jobs.promotion_preview import Examined, examined, preview_of
from respawn_jobs.ledger.notices.deadlines import settings_changed
from respawn_jobs.ledger.runs.rows import jobs_of, ref_of, version_of
from respawn_jobs.model.jobs import Version
from respawn_jobs.model.kernels import JobPlace
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.model.settings_patch import check_retries
from respawn_jobs.notebook.document import read_notebook
from respawn_jobs.store.tables import JobRow, VersionRow

if TYPE_CHECKING:
    from nbformat import NotebookNode

_TRIES = 5
"""How often a promotion is worked out anew because others changed the job meanwhile."""
SOURCE = 4096
"""Characters of a file's path."""


@dataclass(frozen=True)
class Promoted:
    """What a promotion has come to."""

    version: Version
    made: bool
    """Whether the version is a new one; else the current one holds the same already."""


def preview(context: Context, actor: Actor, request: Promotion) -> PromotionPreview:
    """Tell what `promote` would do; changes nothing. See `VersionService.preview_promotion`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs what `promote` needs.
        request: the promotion.

    Raises:
        Conflict: the job is archived, or its namespace is not active.
        InvalidInput, Forbidden: see `promote`.
    """
    namespace, notebook, content = _checked(context, actor, request)
    content |= carried_columns(request.files)[0]
    with context.database.session() as session:
        check_at_work(session, namespace)
        job = _find(session, namespace, request.name)
        _check_archive(job)
        found = jobs_of(session, [job])[0] if job is not None else None
    decided = examined(context, f"{namespace}/{request.name}", found, request, notebook, content)
    shown = preview_of(context, decided, found, request, notebook)
    opened = opened_files(context, namespace, request, files_of(content["files"]))
    return shown.model_copy(update={"opened": opened, "profiles": offered(context, namespace)})


def promote(context: Context, actor: Actor, request: Promotion) -> Promoted:
    """Make a version, and the job with it when it is new; see `Service.promote`.

    The current version is answered again when kernel, lock and directory are the same, and the notebook has
    the same content (see `respawn_jobs.notebook.content_digest`).

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        request: the promotion.

    Raises:
        Conflict: the current version is not the one that the person saw, the promotion does what the person
            must agree to and did not, or the job is archived. Nothing was changed.
        InvalidInput: notebook, kernel, profile or names cannot be used, or a limit is above the deployment's.
        Forbidden: the actor may not edit jobs there.
        QuotaExceeded: the namespace would store too much.
    """
    namespace, notebook, content = _checked(context, actor, request)
    files, archive = carried_columns(request.files)
    content |= files
    context.quotas.check_room(context, namespace, len(request.notebook) + len(archive or b""))
    ref = f"{namespace}/{request.name}"
    stored = False
    for _ in range(_TRIES):
        with context.database.session() as session:
            check_at_work(session, namespace)
            job = _find(session, namespace, request.name)
            _check(session, job, ref, request)
            found = jobs_of(session, [job])[0] if job is not None else None
        decided = examined(context, ref, found, request, notebook, content)
        decided.check_agreed(request.agreed)
        if not stored and decided.outcome != "unchanged":
            store_content(context, namespace, request.notebook, archive)
            stored = True
        promoted = _settle(context, actor, namespace, request, content, decided)
        if promoted is not None:
            return promoted
    raise Conflict(f"{ref} is being changed by others over and over; try again", job=ref)


def _checked(context: Context, actor: Actor, request: Promotion) -> tuple[str, NotebookNode, dict[str, Any]]:
    """Return the namespace, the notebook and the columns of its version, when all can be used."""
    check_job_name(request.name)
    namespace = known_namespace(request.namespace or actor.namespace)
    actor.require("edit", namespace)
    if request.directory is not None:
        check_text("directory", request.directory)
    if request.source is not None:
        check_text("source", request.source, SOURCE)
    if request.settings is not None:
        check_retries(request.settings)
        check_settings(context, request.settings)
        check_profile(context.places, namespace, request.settings)
    notebook = read_notebook(request.notebook)
    at = JobPlace(namespace, _profile(context, namespace, request))
    return namespace, notebook, describe(context, notebook, request.notebook, request.kernel, at)


def _profile(context: Context, namespace: str, request: Promotion) -> str | None:
    """Return the profile that the job will have."""
    if request.settings is not None:
        return request.settings.profile
    with context.database.session() as session:
        job = _find(session, namespace, request.name)
        return place_of(job).profile if job is not None else None


def _settle(
    context: Context,
    actor: Actor,
    namespace: str,
    request: Promotion,
    content: dict[str, Any],
    decided: Examined,
) -> Promoted | None:
    """Carry out what was decided; None when the job has changed since, and nothing was done."""
    ref = f"{namespace}/{request.name}"
    try:
        with context.database.session(write=True) as session:
            check_at_work(session, namespace)
            job = _find(session, namespace, request.name, lock=True)
            _check(session, job, ref, request)
            if not decided.still_holds(session, job, content):
                return None
            if job is None:
                job = _new_job(context, session, actor, namespace, request)
            changed = _settings(context, job, request)
            made = decided.outcome != "unchanged"
            version = (
                _version(context, session, actor, job, request, content)
                if made
                else find_version(session, job)
            )
            job.filed = version.number
            version.source = version.source or request.source
            if made or changed:
                agreed = [question.code for question in decided.questions]
                more = {"agreed": agreed} if agreed else {}
                trail.write(
                    context, session, actor.name, "promote", namespace, ref_of(job),
                    version=version.number, notebook=version.notebook, kernel=version.kernel, **more,
                )  # fmt: skip
            return Promoted(version_of(version, job), made)
    except IntegrityError as error:
        raise Conflict(
            f"{ref} was promoted by someone else at the same moment; try again", job=ref
        ) from error


def _find(session: Session, namespace: str, name: str, *, lock: bool = False) -> JobRow | None:
    query = select(JobRow).where(JobRow.namespace == namespace, JobRow.name == name)
    return session.scalar(query.with_for_update() if lock else query)


def _check(session: Session, job: JobRow | None, ref: str, request: Promotion) -> None:
    """Raise `Conflict` when the job is archived, or is not as the person saw it."""
    _check_archive(job)
    if request.seen is None or request.seen == (job.version if job is not None else 0):
        return
    if job is None:
        raise Conflict(f"{ref} is no longer there; look again and promote it as a new job", job=ref)
    current = find_version(session, job)
    how = f", a fix of version {current.parent}," if current.parent else ""
    seen = f"you saw version {request.seen} of {ref}" if request.seen else f"you saw no job {ref}"
    raise Conflict(
        f"{seen}; meanwhile version {current.number}{how} by {current.created_by} "
        f"({current.created_at:%Y-%m-%d %H:%M} UTC) is the current one. Nothing was changed: look again at "
        "what the promotion would do",
        job=ref, seen=request.seen, current=current.number,
    )  # fmt: skip


def _check_archive(job: JobRow | None) -> None:
    if job is not None:
        check_not_archived(job)


def _new_job(context: Context, session: Session, actor: Actor, namespace: str, request: Promotion) -> JobRow:
    take_name(session, namespace, request.name)
    job = JobRow(
        id=new_id("job"),
        namespace=namespace,
        name=request.name,
        version=0,
        settings=(request.settings or JobSettings()).model_dump(mode="json"),
        created_by=actor.name,
        created_at=context.clock(),
    )
    session.add(job)
    session.flush()
    return job


def _settings(context: Context, job: JobRow, request: Promotion) -> bool:
    """Give the job the settings that came with the promotion, and tell whether it had others."""
    if request.settings is None:
        return False
    settings = request.settings.model_dump(mode="json")
    changed = bool(settings != job.settings)
    before = JobSettings.model_validate(job.settings) if job.version else None
    job.settings = settings
    settings_changed(context, job, before)
    return changed


def _version(
    context: Context,
    session: Session,
    actor: Actor,
    job: JobRow,
    request: Promotion,
    content: dict[str, Any],
) -> VersionRow:
    git = request.git.model_dump(mode="json") if request.git else None
    version = add_version(
        context, session, actor, job, content,
        directory=request.directory, git=git, parent=None, source=request.source,
    )  # fmt: skip
    job.version = version.number
    return version
