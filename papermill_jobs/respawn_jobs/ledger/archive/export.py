"""Export: a run as one archive, streamed; see `respawn_jobs.blobs.run_archive` for what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from respawn_jobs.access import Actor
from respawn_jobs.blobs.run_archive import (
    ArchivedCell,
    ArchivedCheckpoint,
    ArchiveManifest,
    Member,
    blob_name,
    written,
)
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.blobs.registry import touch
from respawn_jobs.ledger.context.context import Context, find_run
from respawn_jobs.ledger.runs import artifacts, queries
from respawn_jobs.ledger.runs.cell_records import INHERITED, shown_attempt
from respawn_jobs.ledger.runs.rows import attempt_of, cell_of, checkpoint_of, ref_of, run_of, version_of
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.tables import (
    ArtifactRow,
    AttemptRow,
    CellRow,
    CheckpointRow,
    JobRow,
    RunRow,
    VersionRow,
)


@dataclass(frozen=True)
class Export:
    """An archive that is about to be written."""

    run: str
    pieces: Iterator[bytes]


def export(context: Context, actor: Actor, run_id: str, *, state: bool = True) -> Export:
    """Return a run's archive, which is read from the store as it is taken; access is checked at once.

    Args:
        context: the ledger's.
        actor: who exports; must be allowed to read the run.
        run_id: the run, which must have ended.
        state: whether checkpoints go along.

    Raises:
        Conflict: the run has not ended, or something it names is no longer stored.
    """
    with context.database.session(write=True) as session:
        run, job = find_run(session, actor, run_id)
        if not RunState(run.state).final:
            raise Conflict(f"{run_id} is still {run.state}: it can be exported once it has ended", run=run_id)
        manifest = _manifest(context, session, actor, run, job, state=state)
        trail.write(
            context, session, actor.name, "export", job.namespace, run_id, job=ref_of(job), state=state
        )
    digests = manifest.digests()
    touch(context, digests)
    missing = context.blobs.missing(sorted(digests))
    if missing:
        raise Conflict(
            f"{run_id} cannot be exported whole: blob {missing[0]} is not stored any more"
            + (" (without its state it may)" if state else ""),
            run=run_id,
            missing=missing,
        )
    notebook = queries.stream_notebook(context, actor, run_id)

    def members() -> Iterator[tuple[str, Iterator[bytes]]]:
        yield f"{run_id}.ipynb", notebook
        for digest in sorted(digests - {manifest.run.notebook}):
            yield blob_name(digest), context.blobs.stream(digest)

    def complete(written_members: dict[str, Member]) -> ArchiveManifest:
        return manifest.model_copy(update={"members": written_members})

    return Export(run_id, written(members(), complete))


def _manifest(
    context: Context, session: Session, actor: Actor, run: RunRow, job: JobRow, *, state: bool
) -> ArchiveManifest:
    numbers = (INHERITED, shown_attempt(session, run))
    cells = session.scalars(
        select(CellRow)
        .where(CellRow.run_id == run.id)
        .options(undefer(CellRow.evidence))
        .order_by(CellRow.attempt, CellRow.index)
    )
    checkpoints = session.scalars(
        select(CheckpointRow)
        .where(CheckpointRow.run_id == run.id, CheckpointRow.attempt.in_(numbers))
        .order_by(CheckpointRow.attempt, CheckpointRow.cell)
    )
    kept = [
        ArchivedCheckpoint(**dict(checkpoint_of(row)), attempt=row.attempt, blobs=row.blobs)
        for row in (checkpoints if state else ())
    ]
    attempts = select(AttemptRow).where(AttemptRow.run_id == run.id).order_by(AttemptRow.number)
    saved = select(ArtifactRow).where(ArtifactRow.run_id == run.id)
    return ArchiveManifest(
        exported_by=actor.name,
        exported_at=context.clock(),
        run=run_of(session, run),
        lock=run.lock,
        settings=JobSettings.model_validate(run.settings),
        skeleton=run.skeleton,
        version=version_of(session.get_one(VersionRow, run.version_id), job),
        attempts=[attempt_of(row) for row in session.scalars(attempts)],
        cells=[ArchivedCell(**dict(cell_of(row, None)), attempt=row.attempt) for row in cells],
        checkpoints=kept,
        artifacts=[
            artifacts.artifact_of(row)
            for row in session.scalars(saved.order_by(ArtifactRow.name, ArtifactRow.number))
        ],
        members={},
    )
