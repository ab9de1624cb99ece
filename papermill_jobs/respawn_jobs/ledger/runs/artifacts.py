"""Artifacts in the ledger: committed by runners, listed and read by people, carried over by a resume."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.blobs.artifact_parts import opened, sealed
from respawn_jobs.errors import InvalidInput, NotFound, RespawnError
from respawn_jobs.ledger.blobs.garbage_collector import collect
from respawn_jobs.ledger.context.context import Context, find_run
from respawn_jobs.ledger.context.text_limits import NAME, check_digest, check_text, cleaned
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.model.artifacts import Artifact, ArtifactPart, ArtifactReader
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import ArtifactBlobRow, ArtifactRow, AttemptRow, JobRow, RunRow
from respawn_kernels.counting import how_many
from respawn_kernels.exchange.artifact_records import (
    MAX_NAMES,
    ArtifactError,
    check_address,
    check_name,
    is_address,
)

logger = logging.getLogger(__name__)
KEPT = 2
"""How many of each name a run keeps."""
_INHERITED = 0
_MAX_READERS = 100


def checked(artifact: Artifact, *, read: bool = False) -> Artifact:
    """Return an artifact as it can be stored.

    Args:
        artifact: the artifact.
        read: whether it may be one that the run has read of another job.

    Raises:
        InvalidInput: something is wrong with it, which is named.
    """
    check = check_address if read and is_address(artifact.name) else check_name
    try:
        check(artifact.name)
    except ArtifactError as error:
        raise InvalidInput(str(error)) from error
    for part in artifact.parts:
        check_digest(part.digest)
    total = sum(part.size for part in artifact.parts)
    if total != artifact.size:
        raise InvalidInput(
            f"artifact {artifact.name!r} has {how_many(artifact.size, 'byte')}, but its parts have {total}"
        )
    check_text("artifact's kind", artifact.kind, 32)
    return artifact.model_copy(
        update={
            "type": cleaned(artifact.type)[:NAME],
            "description": cleaned(artifact.description)[:NAME],
            "file": cleaned(artifact.file)[-NAME:],
        }
    )


def commit(session: Session, run: RunRow, attempt: AttemptRow, artifact: Artifact) -> set[str]:
    """Make an artifact the latest of its name; the caller has locked the run.

    Args:
        session: the caller's transaction; it writes.
        run: the run.
        attempt: the attempt that saved it.
        artifact: the artifact, whose parts are stored.

    Returns:
        Digests of parts that nothing names any more: `forget` them once the transaction is over.

    Raises:
        InvalidInput: the run has too many names of artifacts.
    """
    newest = session.scalar(
        select(func.max(ArtifactRow.number)).where(
            ArtifactRow.run_id == run.id, ArtifactRow.name == artifact.name
        )
    )
    if newest is not None and artifact.number <= newest:
        return set()  # said again because the answer was lost
    if newest is None:
        names = session.scalar(
            select(func.count(ArtifactRow.name.distinct())).where(ArtifactRow.run_id == run.id)
        )
        if names and names >= 2 * MAX_NAMES:
            raise InvalidInput(
                f"{run.id} has {how_many(names, 'artifact')}; save under names that it has", run=run.id
            )
    insert(session, artifact.model_copy(update={"attempt": attempt.number, "made_in": run.id}), run.id)
    return _prune(session, run.id, artifact.name)


def forget(context: Context, run_id: str, digests: Collection[str]) -> None:
    """Remove parts that nothing names any more. Best effort: what cannot be removed now, the collector does.

    Only parts that the run itself sealed are removed at once, before their grace is over: nobody else could
    be about to name them.

    Args:
        context: the ledger's surroundings.
        run_id: id of the run that made them.
        digests: BLAKE3 digests of the parts.
    """
    seal = sealed(run_id, b"")
    mine = []
    for digest in digests:
        try:
            if context.blobs.beginning(digest, len(seal)) == seal:
                mine.append(digest)
        except RespawnError as error:
            logger.warning("a part of a replaced artifact stays in the store for now: %s", error)
    try:
        collect(context, mine)
    except RespawnError as error:
        logger.warning("parts of a replaced artifact stay in the store for now: %s", error)


def latest(session: Session, run_id: str) -> list[Artifact]:
    """Return the latest of each name."""
    by_name = {row.name: row for row in _rows(session, run_id)}
    return [artifact_of(row) for row in by_name.values()]


def artifacts(context: Context, actor: Actor, run_id: str) -> list[Artifact]:
    """Return what a run keeps, by name, newest first; see `Service.artifacts`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        run_id: the run's id.

    Raises:
        NotFound, Forbidden: see `find_run`.
    """
    with context.database.session() as session:
        find_run(session, actor, run_id)
        rows = _rows(session, run_id)
    return sorted((artifact_of(row) for row in rows), key=lambda found: (found.name, -found.number))


def readers(context: Context, actor: Actor, run_id: str) -> list[ArtifactReader]:
    """Return which runs have read an artifact of a run; see `Service.readers`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        run_id: the run's id.

    Raises:
        NotFound, Forbidden: see `find_run`.
    """
    of_others = (ArtifactRow.made_in == run_id, ArtifactRow.name.contains("/"))
    query = select(ArtifactRow, JobRow).join(RunRow, RunRow.id == ArtifactRow.run_id)
    query = query.join(JobRow, JobRow.id == RunRow.job_id).where(*of_others)
    newest = query.order_by(RunRow.created_at.desc(), RunRow.id, ArtifactRow.name).limit(_MAX_READERS)
    with context.database.session() as session:
        find_run(session, actor, run_id)
        return [
            ArtifactReader(
                run=row.run_id, job=ref_of(job), name=check_address(row.name)[1], number=row.number
            )
            for row, job in session.execute(newest)
        ]


def stream(
    context: Context, actor: Actor, run_id: str, name: str, number: int | None = None
) -> tuple[Artifact, Iterator[bytes]]:
    """Return an artifact, by default the latest of its name, and its bytes in pieces.

    Access is checked at once. Raises `NotFound` when the run has none, naming those that it has.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        run_id: the run's id.
        name: the artifact's name.
        number: which save of that name; None for the latest.
    """
    found = artifacts(context, actor, run_id)
    wanted = [one for one in found if one.name == name and number in (None, one.number)]
    if not wanted:
        known = ", ".join(sorted({one.name for one in found})) or "none"
        what = f"{name!r}" if number is None else f"{name!r} number {number}"
        raise NotFound(f"{run_id} has no artifact {what}; it has: {known}", run=run_id, name=name)

    def parts() -> Iterator[bytes]:
        for part in wanted[0].parts:
            yield bytes(opened(context.blobs.get(part.digest)))

    return wanted[0], parts()


def names(session: Session, run_id: str, digest: str) -> bool:
    """Return whether an artifact of the run has this part.

    Args:
        session: the caller's transaction.
        run_id: the run's id.
        digest: the part's BLAKE3 digest.
    """
    query = select(ArtifactBlobRow.digest).where(
        ArtifactBlobRow.digest == digest, ArtifactBlobRow.run_id == run_id
    )
    return session.scalar(query.limit(1)) is not None


def carry_over(session: Session, kept: Sequence[Artifact], run_id: str) -> None:
    """Give a new run the artifacts of the run that it goes on from.

    Args:
        session: the caller's transaction; it writes.
        kept: the latest artifact of each name of the run before.
        run_id: id of the new run.
    """
    for artifact in kept:
        insert(session, artifact.model_copy(update={"attempt": _INHERITED}), run_id)


def take_in(session: Session, archived: Sequence[Artifact], run_id: str) -> None:
    """Give an imported run the artifacts that it came with, as they were recorded.

    Args:
        session: the caller's transaction; it writes.
        archived: the artifacts as the archive has them.
        run_id: id of the imported run.
    """
    for artifact in archived:
        insert(session, checked(artifact, read=True), run_id)


@dataclass(frozen=True)
class NextCell:
    """A code cell of the notebook that goes on."""

    index: int
    cell_id: str
    source_hash: str
    reused: bool = False


def valid_after(
    found: Sequence[Artifact],
    cells: Sequence[CellRecord],
    following: Sequence[NextCell],
    *,
    same_kernel: bool,
) -> tuple[list[Artifact], list[str]]:
    """Tell which artifacts of a run still hold when it is resumed with another notebook or parameters.

    One that a cell saved holds as long as all code cells above it are the same: what they made went into it.
    The cell itself may have been fixed when it had not finished: to go on from what it saved is what it
    saved for. When it had finished, an edit makes its artifacts those of another cell.

    Args:
        found: the latest artifact of each name.
        cells: the code cells of the run that is resumed.
        following: the code cells of the run that goes on; what those that it reuses have saved holds.
        same_kernel: whether kernel and lock are the same.

    Returns:
        What holds, each with its cell's place in the new notebook; and for each of the others a sentence that
        says why not.
    """
    pairs = zip((cell.source_hash for cell in cells), (cell.source_hash for cell in following), strict=False)
    shortest = min(len(cells), len(following))
    same = next((place for place, (old, new) in enumerate(pairs) if old != new), shortest)
    places = {cell.index: place for place, cell in enumerate(cells)}
    reused = {cell.cell_id: cell.index for cell in following if cell.reused}
    kept, messages = [], []
    for artifact in found:
        if is_address(artifact.name):  # a run sees one and the same for all of its life
            kept.append(artifact)
            continue
        place = places.get(-1 if artifact.cell is None else artifact.cell, len(cells))
        saver = cells[place] if place < len(cells) else None
        if not same_kernel:
            messages.append(f"artifact {artifact.name!r} is left behind: the kernel is another one")
        elif place < same or (place == same and _may_go_on(saver, following[place:])):
            index = following[place].index if place < len(following) else None
            kept.append(artifact.model_copy(update={"cell": index}))
        elif saver is not None and saver.cell_id in reused:
            kept.append(artifact.model_copy(update={"cell": reused[saver.cell_id]}))
        else:
            why = "it had finished and was edited, or a cell was put in above it"
            if place != same:
                why = f"cell {cells[same].index} above it has changed"
            where = "" if artifact.cell is None else f", saved by cell {artifact.cell},"
            messages.append(f"artifact {artifact.name!r}{where} is left behind: {why}")
    return kept, messages


def _may_go_on(saver: CellRecord | None, following: Sequence[NextCell]) -> bool:
    """Return whether the first of the cells that follow is the saver, fixed because it had not finished."""
    if saver is None:
        return True
    moved = any(
        saver.cell_id == cell.cell_id or saver.source_hash == cell.source_hash for cell in following[1:]
    )
    return not moved and saver.state not in (CellState.EXECUTED, CellState.REUSED)


def artifact_of(row: ArtifactRow) -> Artifact:
    """Return an artifact."""
    return Artifact(
        name=row.name,
        number=row.number,
        kind=row.kind,
        type=row.type,
        description=row.description,
        file=row.file,
        size=row.size,
        saved_at=row.saved_at,
        cell=row.cell,
        made_in=row.made_in,
        attempt=row.attempt,
        meta=row.meta,
        parts=[ArtifactPart(digest=digest, size=size) for digest, size in row.parts],
    )


def _rows(session: Session, run_id: str) -> list[ArtifactRow]:
    query = select(ArtifactRow).where(ArtifactRow.run_id == run_id)
    return list(session.scalars(query.order_by(ArtifactRow.name, ArtifactRow.number)))


def insert(session: Session, artifact: Artifact, run_id: str) -> None:
    """Let an artifact be a run's.

    Args:
        session: the caller's transaction; it writes.
        artifact: the artifact, whose parts are stored.
        run_id: the run's id.
    """
    values = artifact.model_dump(exclude={"parts"})
    parts = [[part.digest, part.size] for part in artifact.parts]
    session.add(ArtifactRow(run_id=run_id, parts=parts, **values))
    session.add_all(
        ArtifactBlobRow(digest=digest, run_id=run_id, name=artifact.name, number=artifact.number)
        for digest in {part.digest for part in artifact.parts}
    )
    session.flush()


def _prune(session: Session, run_id: str, name: str) -> set[str]:
    """Remove all but the newest artifacts of a name; return the parts that no artifact of any run names."""
    mine = [row for row in _rows(session, run_id) if row.name == name]
    dropped: set[str] = set()
    for row in mine[:-KEPT]:
        dropped |= {digest for digest, _ in row.parts}
        session.execute(
            delete(ArtifactBlobRow).where(
                ArtifactBlobRow.run_id == run_id,
                ArtifactBlobRow.name == name,
                ArtifactBlobRow.number == row.number,
            )
        )
        session.delete(row)
    session.flush()
    wanted, unnamed = sorted(dropped), set(dropped)
    for part in in_pieces(wanted):
        named = session.scalars(select(ArtifactBlobRow.digest).where(ArtifactBlobRow.digest.in_(part)))
        unnamed -= set(named)
    return unnamed
