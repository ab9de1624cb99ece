"""Import: an archived run becomes a run of this store, under a fresh id; see `blobs.run_archive`.

All of the archive is checked before anything is written. Blobs go first; then one transaction makes the rows.
What an import that broke off has left is collected like any blob that nothing names. The state in an archive
consists of pickles: the service never opens them, but whoever debugs or resumes the run executes what is in
them.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.history import ImportRequest
from respawn_jobs.blobs.run_archive import Archive, ArchiveManifest, verified
from respawn_jobs.carried.archive import check_paths
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.host.workspace import Workspace
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.blobs import ownership
from respawn_jobs.ledger.blobs.registry import secure
from respawn_jobs.ledger.capacity.suspension import check_at_work, check_not_archived
from respawn_jobs.ledger.context.context import Context, known_namespace, take_name
from respawn_jobs.ledger.context.text_limits import NAME, check_digest, check_text, cleaned
from respawn_jobs.ledger.jobs.catalog import add_version, check_job_name
from respawn_jobs.ledger.runs import artifacts, authorship
from respawn_jobs.ledger.runs.rows import ref_of, run_of
from respawn_jobs.model.jobs import Version
from respawn_jobs.model.runs import Imported, Run
from respawn_jobs.notebook.document import read_notebook
from respawn_jobs.store.tables import AttemptRow, CellRow, CheckpointRow, JobRow, RunRow, VersionRow

_IN_MEMORY = 8 << 20
_LARGEST, _LARGEST_TIME = 2**53, 2**63
_TIMES = ("inputs", "found", "outputs")
"""Of a cell's evidence: files with the time of their last change in nanoseconds."""
_FREE = ("parameters", "value")
_KEY, _PATH = 64, 4096


def import_run(context: Context, actor: Actor, path: Path, request: ImportRequest) -> Run:
    """Take over an archived run; see `HistoryService.import_run`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the target namespace.
        path: the archive.
        request: namespace and job to import into; None of either means the actor's own, and the archived
            job's name.

    Raises:
        Conflict: the job is archived, its namespace is not active, or another change of the job came first.
        InvalidInput: the file is no whole archive of an ended run, or the name cannot be a job's.
        Forbidden: the actor may not edit jobs there.
        QuotaExceeded: the namespace would store too much.
    """
    namespace = known_namespace(request.namespace or actor.namespace)
    actor.require("edit", namespace)
    with verified(path) as archive:
        manifest = archive.manifest
        name = check_job_name(request.job or manifest.version.job.rpartition("/")[2])
        check_target(context, namespace, name)
        _check(manifest)
        _check_notebooks(archive)
        context.quotas.check_room(context, namespace, _size(manifest))
        _put(context, namespace, archive)
    try:
        with context.database.session(write=True) as session:
            check_at_work(session, namespace)
            job, version = _job(context, session, actor, namespace, name, manifest)
            secure(session, manifest.digests())
            row = _run(context, session, actor, job, version, manifest)
            trail.write(
                context, session, actor.name, "import", namespace, row.id, job=ref_of(job),
                version=version.number, origin=manifest.run.id, origin_job=cleaned(manifest.run.job),
                exported_by=cleaned(manifest.exported_by),
            )  # fmt: skip
            return run_of(session, row)
    except IntegrityError as error:
        raise Conflict(
            f"{namespace}/{name} was changed at the same moment; try again", job=f"{namespace}/{name}"
        ) from error


def check_target(context: Context, namespace: str, name: str) -> None:
    """Raise `Conflict` where nothing is imported: into an archived job, or where nothing is at work.

    Args:
        context: the ledger's surroundings.
        namespace: where the run would go.
        name: the job's name in it; it need not exist.
    """
    with context.database.session() as session:
        check_at_work(session, namespace)
        job = session.scalar(select(JobRow).where(JobRow.namespace == namespace, JobRow.name == name))
        if job is not None:
            check_not_archived(job)


def _check(manifest: ArchiveManifest) -> None:
    """Refuse records that no run has, before the database does. Raises `InvalidInput`."""
    if not manifest.run.state.final:
        raise InvalidInput(f"the archived run is {manifest.run.state.value}; only ended runs are imported")
    _check_values("manifest", manifest.model_dump())
    for digest in manifest.digests():
        check_digest(digest)
    for what, text, most in (
        ("kernel", manifest.version.kernel, NAME),
        ("kernel", manifest.run.kernel, NAME),
        ("language", manifest.version.language, 80),
        ("lock", manifest.version.lock or "", 128),
        ("lock", manifest.lock or "", 128),
    ):
        check_text(what, text, most)
    check_paths([file.path for file in manifest.version.files or ()])
    for cell in manifest.cells:
        check_text("cell id", cell.cell_id, _KEY)
        check_text("source hash", cell.source_hash, _KEY)
        check_text("parameters hash", cell.parameters_hash or "", _KEY)
        check_text("lock", cell.lock or "", 128)
    for attempt in manifest.attempts:
        check_text("executor", attempt.executor, 32)
        check_text("profile", attempt.profile or "", 32)
        check_text("replica", attempt.replica or "", 32)
        check_text("directory", attempt.directory or "", _PATH)
    for artifact in manifest.artifacts:
        artifacts.checked(artifact)
        check_text("run of an artifact", artifact.made_in, 32)
    _check_once("cell", [(cell.attempt, cell.index) for cell in manifest.cells])
    _check_once("checkpoint", [(one.attempt, one.cell) for one in manifest.checkpoints])
    _check_once("attempt", [one.number for one in manifest.attempts])
    _check_once("artifact", [(one.name, one.number) for one in manifest.artifacts])


def _check_values(where: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_values(str(key), item)
    elif isinstance(value, list):
        for item in value:
            _check_values(where, item)
    elif isinstance(value, int) and where not in _FREE:
        if abs(value) <= (_LARGEST_TIME if where in _TIMES else _LARGEST):
            return
        raise InvalidInput(f"{where[:80]} in the archive is a number too large: {str(value)[:40]}")
    elif isinstance(value, datetime) and value.tzinfo is None:
        raise InvalidInput(f"{where[:80]} in the archive is a time without a zone: {value}")


def _check_once(what: str, keys: Collection[Hashable]) -> None:
    if len(set(keys)) != len(keys):
        raise InvalidInput(f"the archive tells one {what} twice")


def _check_notebooks(archive: Archive) -> None:
    """Refuse an archive whose notebooks cannot be read. Raises `InvalidInput`."""
    wanted = {archive.manifest.version.notebook, archive.manifest.skeleton}
    for name, member in archive.manifest.members.items():
        if member.digest not in wanted:
            continue
        with archive.open(name) as file:
            try:
                read_notebook(file.read().decode())
            except UnicodeDecodeError as error:
                raise InvalidInput(f"{name} is no notebook: {error}") from error


def _size(manifest: ArchiveManifest) -> int:
    """Return how many bytes an archive brings."""
    named = manifest.digests()
    return sum(member.size for member in manifest.members.values() if member.digest in named)


def _put(context: Context, namespace: str, archive: Archive) -> None:
    named = archive.manifest.digests()
    for name, member in archive.manifest.members.items():
        if member.digest not in named:
            continue
        with archive.open(name) as file:
            if member.size <= _IN_MEMORY:
                ownership.put(context, namespace, member.digest, file.read())
                continue
            with Workspace() as workspace:  # the next one removes it, should this process be killed
                copy = workspace.path / "member"
                with copy.open("wb") as copied:
                    while piece := file.read(_IN_MEMORY):
                        copied.write(piece)
                ownership.put(context, namespace, member.digest, copy)


def _job(
    context: Context, session: Session, actor: Actor, namespace: str, name: str, manifest: ArchiveManifest
) -> tuple[JobRow, VersionRow]:
    """Return the job, made when missing, and its version; new runs of a job that was there keep theirs."""
    query = select(JobRow).where(JobRow.namespace == namespace, JobRow.name == name)
    job = session.scalar(query.with_for_update())
    if job is not None:
        check_not_archived(job)
    else:
        # Whom to tell, and of what, is for people here to say.
        settings = manifest.settings.model_copy(update={"notify": [], "deadline": None, "profile": None})
        take_name(session, namespace, name)
        job = JobRow(
            id=new_id("job"), namespace=namespace, name=name, version=0,
            settings=settings.model_dump(mode="json"),
            created_by=actor.name, created_at=context.clock(),
        )  # fmt: skip
        session.add(job)
        session.flush()
    archived = manifest.version
    # A build that is not here would keep every run of the version from starting.
    lock = archived.lock if archived.lock and context.build_check(archived.kernel, archived.lock) else None
    same = select(VersionRow).where(
        VersionRow.job_id == job.id,
        VersionRow.notebook == archived.notebook,
        VersionRow.kernel == archived.kernel,
        VersionRow.lock == lock if lock is not None else VersionRow.lock.is_(None),
        VersionRow.bundle == archived.bundle if archived.bundle is not None else VersionRow.bundle.is_(None),
    )
    version = session.scalar(same.order_by(VersionRow.number.desc()).limit(1))
    if version is None:
        content = {
            "notebook": archived.notebook,
            "kernel": archived.kernel,
            "language": archived.language,
            "lock": lock,
            "parameters": [parameter.model_dump(mode="json") for parameter in archived.parameters],
            "files": _carried(archived),
            "bundle": archived.bundle,
        }
        git = archived.git.model_dump(mode="json") if archived.git else None
        version = add_version(
            context, session, actor, job, content, directory=None, git=git, parent=None,
            authors=authorship.of_archive(manifest),
        )  # fmt: skip
    if job.version == 0:
        job.version = version.number
    return job, version


def _carried(archived: Version) -> list[Any] | None:
    return None if archived.files is None else [file.model_dump(mode="json") for file in archived.files]


def _run(
    context: Context,
    session: Session,
    actor: Actor,
    job: JobRow,
    version: VersionRow,
    manifest: ArchiveManifest,
) -> RunRow:
    archived, now = manifest.run, context.clock()
    origin = Imported(
        run=archived.id, job=archived.job, exported_by=manifest.exported_by, exported_at=manifest.exported_at
    )
    row = RunRow(
        id=new_id("run"), job_id=job.id, namespace=job.namespace, version_id=version.id,
        version=version.number, kernel=archived.kernel, lock=manifest.lock,
        settings=manifest.settings.model_dump(mode="json"), state=archived.state.value,
        parameters=archived.parameters, trigger="import", due_at=archived.due_at,
        logical_date=archived.logical_date or archived.created_at, priority=manifest.settings.priority,
        queue=manifest.settings.queue, pinned=True, created_by=actor.name, created_at=now,
        started_at=archived.started_at, finished_at=archived.finished_at or now, attempt=archived.attempt,
        cells_total=archived.cells_total, cells_done=archived.cells_done,
        error=archived.error.model_dump(mode="json") if archived.error else None, notebook=archived.notebook,
        skeleton=manifest.skeleton, imported=origin.model_dump(mode="json"),
        authors=authorship.of_archive(manifest),
    )  # fmt: skip
    session.add(row)
    session.flush()
    job.last_run = job.last_run or row.id
    _rows(session, row, manifest, now)
    return row


def _rows(session: Session, row: RunRow, manifest: ArchiveManifest, now: datetime) -> None:
    for attempt in manifest.attempts:
        values = attempt.model_dump(mode="json", exclude={"id", "started_at", "heartbeat_at", "finished_at"})
        row_of_attempt = AttemptRow(
            id=new_id("att"),
            run_id=row.id,
            token_hash="",  # nobody holds its token
            lease_until=now,
            started_at=attempt.started_at,
            heartbeat_at=attempt.heartbeat_at,
            finished_at=attempt.finished_at,
            **values,
        )
        session.add(row_of_attempt)
    for cell in manifest.cells:
        values = cell.model_dump(exclude={"checkpoint", "state", "note"})  # the evidence as JSON
        note = None if cell.note is None else cleaned(cell.note)
        session.add(CellRow(run_id=row.id, state=cell.state.value, note=note, **values))
    for checkpoint in manifest.checkpoints:
        session.add(CheckpointRow(run_id=row.id, **checkpoint.model_dump(mode="json")))
    named = {digest for one in manifest.checkpoints for digest in (one.manifest, *one.blobs)}
    ownership.name_in_checkpoints(session, row.id, named)
    artifacts.take_in(session, manifest.artifacts, row.id)
    session.flush()
