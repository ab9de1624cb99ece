"""Cells and checkpoints of a run, across its attempts.

What is shown of a run is its latest attempt that began; a resumed run that has none yet shows what it took
over (attempt 0). What a retry takes over from the attempts before it stands beside that (attempt -1), so that
a further one may start over. Checkpoints taken over are valid for the attempt that took them over.
"""

from __future__ import annotations

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, undefer

from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import ResumeFrom
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import RespawnError, Unavailable
from respawn_jobs.ledger.context.context import Context, find_run
from respawn_jobs.ledger.runs.executed_notebook import executed_text
from respawn_jobs.ledger.runs.rows import cell_of
from respawn_jobs.model.evidence import CellFiles, files_of
from respawn_jobs.model.runs import CellState
from respawn_jobs.store.tables import CellRow, CheckpointRow, RunRow

INHERITED = 0
"""The attempt number of what a resumed run takes over."""
KEPT = -1
"""The attempt number of what the next attempt takes over from those before it."""

_BEGUN = (CellState.RUNNING, CellState.EXECUTED, CellState.FAILED)
DONE = (CellState.EXECUTED, CellState.REUSED)


def taken_over_by(run: RunRow) -> int:
    """Return the attempt number of what the run's latest attempt, or the next, takes over."""
    return INHERITED if run.retry is None else KEPT


def begins_from(run: RunRow) -> ResumeFrom | None:
    """Return where the run's latest attempt, or the next, starts; None for the top."""
    start = run.retry or run.resume
    return ResumeFrom.model_validate(start) if start else None


def shown_attempt(session: Session, run: RunRow) -> int:
    """Return the number of the latest attempt that has cells."""
    latest = session.scalar(select(func.max(CellRow.attempt)).where(CellRow.run_id == run.id))
    return INHERITED if latest is None else latest


def cells_of(
    session: Session, run: RunRow, attempt: int | None = None, *, evidence: bool = False
) -> list[CellRow]:
    """Return the code cells of an attempt, by default the shown one, in their order.

    What was seen of them is read with them, or each time that one is asked for it.

    Args:
        session: the caller's transaction.
        run: the run.
        attempt: the attempt's number; None for the shown one.
        evidence: whether what was seen of the cells is read with them.
    """
    number = shown_attempt(session, run) if attempt is None else attempt
    query = select(CellRow).where(CellRow.run_id == run.id, CellRow.attempt == number)
    if evidence:
        query = query.options(undefer(CellRow.evidence))
    return list(session.scalars(query.order_by(CellRow.index)))


def checkpoints_of(session: Session, run: RunRow) -> list[CheckpointRow]:
    """Return the checkpoints of the shown attempt, and those taken over, by cell."""
    numbers = (taken_over_by(run), shown_attempt(session, run))
    query = select(CheckpointRow).where(CheckpointRow.run_id == run.id, CheckpointRow.attempt.in_(numbers))
    by_cell = {row.cell: row for row in session.scalars(query.order_by(CheckpointRow.attempt))}
    return [by_cell[cell] for cell in sorted(by_cell)]


def began(session: Session, run: RunRow) -> bool:
    """Return whether a cell of the run began in any of its attempts."""
    of_attempts = (CellRow.run_id == run.id, CellRow.attempt > INHERITED)
    query = select(CellRow.run_id).where(*of_attempts, CellRow.state.in_(_BEGUN)).limit(1)
    return session.scalar(query) is not None


def count_done(session: Session, run: RunRow, attempt: int) -> int:
    """Return how many cells of an attempt are executed or reused.

    Args:
        session: the caller's transaction.
        run: the run.
        attempt: the attempt's number.
    """
    query = select(func.count()).where(
        CellRow.run_id == run.id, CellRow.attempt == attempt, CellRow.state.in_(DONE)
    )
    return session.scalar(query) or 0


def close_cells(session: Session, run: RunRow, attempt: int, note: str) -> None:
    """Give every open cell of an ended attempt its last state: what ran has failed, the rest is skipped.

    Args:
        session: the caller's transaction; it writes.
        run: the run.
        attempt: the attempt's number.
        note: the note of the cells that executed.
    """
    mine = (CellRow.run_id == run.id, CellRow.attempt == attempt)
    for before, values in (
        (CellState.RUNNING, {"state": CellState.FAILED.value, "note": note, "blocked_since": None}),
        (CellState.PENDING, {"state": CellState.SKIPPED.value}),
    ):
        session.execute(update(CellRow).where(*mine, CellRow.state == before.value).values(**values))


def assemble(session: Session, blobs: BlobStore, run: RunRow) -> str | None:
    """Return the text of the notebook as far as the run came; None when it never began.

    Args:
        session: the caller's transaction.
        blobs: where skeleton and outputs are.
        run: the run.
    """
    if run.skeleton is None:
        return None
    return executed_text(blobs, run.skeleton, cells_of(session, run))


def assemble_at_end(session: Session, blobs: BlobStore, run: RunRow) -> tuple[str | None, str | None]:
    """Return the text of a run that ends; or None and why there is none.

    A run must come to its end whatever its blobs hold. Raises `Unavailable`: the same may work later.

    Args:
        session: the caller's transaction.
        blobs: where skeleton and outputs are.
        run: the run.
    """
    try:
        return assemble(session, blobs, run), None
    except Unavailable:
        raise
    except RespawnError as error:
        return None, f"the executed notebook could not be put together: {error.message}"


def add_note(session: Session, run: RunRow, note: str, index: int | None = None) -> None:
    """Add a note to a shown cell, by default to the last one that began; none when the run has no cells.

    Args:
        session: the caller's transaction; it writes.
        run: the run.
        note: the note; it goes behind one that is there.
        index: the cell's index; None for the last one that began.
    """
    cells = cells_of(session, run)
    if index is None:
        began = [cell for cell in cells if cell.state not in (CellState.PENDING, CellState.SKIPPED)]
        noted = (began or cells)[-1:]
    else:
        noted = [cell for cell in cells if cell.index == index]
    for cell in noted:
        cell.note = f"{cell.note}; {note}" if cell.note else note


def files(context: Context, actor: Actor, run_id: str) -> list[CellFiles]:
    """Return what the cells of a run's shown attempt read and changed; see `Service.files`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        run_id: the run's id.

    Raises:
        NotFound, Forbidden: see `find_run`.
    """
    with context.database.session() as session:
        run, _ = find_run(session, actor, run_id)
        cells = [cell_of(row, None) for row in cells_of(session, run, evidence=True)]
    found = []
    for cell in cells:
        if cell.evidence is None:
            continue
        read, written = files_of(cell.evidence)
        more = cell.evidence.overflow or cell.evidence.files_unwatched is not None
        if read or written or more:
            found.append(
                CellFiles(cell=cell.index, cell_id=cell.cell_id, read=read, written=written, more=more)
            )
    return found
