"""From where a run is tried again, so that no cell with side effects is executed a second time.

A further try executes the very notebook, with the very parameters, that the ended attempt executed. So every
state that was kept of it may be gone on from; which one is best tells `plan`, as it does for a person. When
that cannot be done the try begins where the ended attempt began, or where the run itself did.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from respawn_jobs.api.runner_protocol import ResumeFrom
from respawn_jobs.errors import RespawnError, Unavailable
from respawn_jobs.ledger.blobs.ownership import name_in_checkpoints
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.context.job_places import place_of
from respawn_jobs.ledger.resume import carry_over, side_effects
from respawn_jobs.ledger.resume.carry_over import Recorded, TakenOver
from respawn_jobs.ledger.runs.cell_records import (
    INHERITED,
    KEPT,
    begins_from,
    cells_of,
    count_done,
    taken_over_by,
)
from respawn_jobs.ledger.runs.rows import cell_of, checkpoint_of
from respawn_jobs.model.plans import Plan
from respawn_jobs.store.tables import AttemptRow, JobRow, RunRow, VersionRow

if TYPE_CHECKING:
    from nbformat import NotebookNode

logger = logging.getLogger(__name__)


@dataclass
class RetryStart:
    """Where a further try begins."""

    at: ResumeFrom | None
    """None: the top."""
    note: str
    taken: TakenOver | None = None
    """What it takes over, where that was not taken over before."""
    keeps: bool = False
    """It begins where the attempt before it began."""
    afresh: bool = False
    """Nothing done under an earlier environment of the kernel holds, not even what the run took over."""
    lock: str | None = None
    """Hash of the build that it uses."""


@dataclass
class RetryRefusal:
    """Why there is no further try: a cell with side effects would be executed a second time."""

    cell: int
    note: str


def start_of_retry(
    context: Context, session: Session, run: RunRow, attempt: AttemptRow, *, resume: bool
) -> RetryStart | RetryRefusal:
    """Return where the next attempt of a run begins, the present one having ended.

    Args:
        context: the ledger's surroundings.
        session: reads the run.
        run: the run.
        attempt: its latest attempt.
        resume: whether it goes on from the last kept state; else it starts over.

    Raises:
        Unavailable: the blob store does not answer.
    """
    began = bool(cells_of(session, run, attempt.number))
    basis = carry_over.recorded(session, run)
    cells = basis.cells
    if not began:
        before = cells_of(session, run, taken_over_by(run))
        cells = [cell_of(cell, None, evidence=False) for cell in before]
    refused: RetryRefusal | None = None
    for start in _starts(context, session, run, attempt, basis if began else None, resume=resume):
        again = side_effects.executed_again(cells, start.at)
        if again is None:
            return start
        refused = refused or RetryRefusal(
            again.index, f"not tried again: {side_effects.describe_cell(again)}"
        )
    assert refused is not None  # noqa: S101  there is always a start
    return refused


def apply(session: Session, run: RunRow, start: RetryStart) -> None:
    """Let the next attempt of a run, whose row is locked, begin there.

    Args:
        session: the caller's transaction; it writes.
        run: the run.
        start: where the attempt begins.
    """
    run.lock = start.lock
    if start.taken is not None:
        carry_over.forget(session, run.id)
        start.taken.put(session, run.id, KEPT)
        named = {start.taken.start.manifest, *start.taken.start.blobs} - {None}
        name_in_checkpoints(session, run.id, {str(digest) for digest in named})
        run.retry = start.taken.start.model_dump(mode="json")
    elif not start.keeps:
        carry_over.forget(session, run.id)
        run.retry = None
    if start.afresh:
        carry_over.forget(session, run.id, INHERITED)
        run.resume = None
    session.flush()
    run.cells_done = count_done(session, run, taken_over_by(run))


def _starts(
    context: Context,
    session: Session,
    run: RunRow,
    attempt: AttemptRow,
    basis: Recorded | None,
    *,
    resume: bool,
) -> Iterator[RetryStart]:
    """Give the starts that hold, the best first."""
    lock = context.lock_for(run.kernel, run.lock, place_of(session.get_one(JobRow, run.job_id)))
    if lock != run.lock:
        why = f"it starts over: the environment of kernel {run.kernel} was rebuilt since"
        yield RetryStart(None, why, afresh=True, lock=lock)
        return
    now, why = begins_from(run), "it starts over"
    first = ResumeFrom.model_validate(run.resume) if run.resume else None
    now_holds = _holds(context, session, run, basis, now)
    if resume and basis is not None:
        planned = _planned(context, session, run, basis)
        if isinstance(planned, TakenOver):
            if _further(planned.start, now) or not now_holds:
                note = f"it continues from cell {planned.start.first}"
                yield RetryStart(planned.start, note, taken=planned, lock=lock)
        else:
            why = f"it starts over: {planned}"
    # A state that could not be brought back would not be the next time.
    if resume and now is not None and not _not_restored(attempt) and now_holds:
        yield RetryStart(now, f"it continues from cell {now.first}", keeps=True, lock=lock)
    if first is not None and (now_holds if first == now else _holds(context, session, run, basis, first)):
        yield RetryStart(first, f"{why}, from cell {first.first}", lock=lock)
    else:
        yield RetryStart(None, why, afresh=first is not None, lock=lock)


def _holds(
    context: Context, session: Session, run: RunRow, basis: Recorded | None, start: ResumeFrom | None
) -> bool:
    """Return whether the files that a start needs are as they were, whatever the ended attempt did."""
    if start is None or basis is None or run.skeleton is None:
        return True
    from respawn_jobs.notebook.document import read_notebook
    from respawn_jobs.resume.files.left_files import spoilt

    # Before the broad catch: a database that goes away now must not cost the run its state.
    python = session.get_one(VersionRow, run.version_id).language.lower() == "python"
    try:
        notebook = read_notebook(context.blobs.get(run.skeleton).decode())
        return not spoilt(basis.cells, notebook, basis.directory, start, python=python)
    except Unavailable:
        raise
    except Exception:  # a run must come to its end whatever its notebook holds; then it starts over
        logger.exception("the files that %s needs could not be found out", run.id)
        return False


def _further(start: ResumeFrom, now: ResumeFrom | None) -> bool:
    """Return whether less is left to execute from a start than from the present one."""
    if start.manifest is None:
        return False
    return now is None or (start.first, -len(start.rerun)) > (now.first, -len(now.rerun))


def _not_restored(attempt: AttemptRow) -> bool:
    return bool(attempt.error) and attempt.error.get("name") == "RestoreFailed"  # type: ignore[union-attr]


def _planned(context: Context, session: Session, run: RunRow, basis: Recorded) -> TakenOver | str:
    """Return what a resume of the ended attempt would take over, or why there can be none."""
    from respawn_jobs.notebook.document import read_notebook

    if run.skeleton is None:
        return "the notebook that ran is not known"
    # Before the broad catch: a database that goes away now must not cost the run its state.
    language = session.get_one(VersionRow, run.version_id).language
    try:
        executed = read_notebook(context.blobs.get(run.skeleton).decode())
        planned = _plan(context, run, basis, executed, language)
        if planned.problems:
            return "; ".join(planned.problems)
        return carry_over.taken_over(basis, executed, planned)
    except Unavailable:
        raise
    except RespawnError as error:
        return error.message
    except Exception as error:  # a run must come to its end whatever its notebook holds
        logger.exception("the state that %s could continue from could not be found out", run.id)
        return f"its state to continue from could not be found out: {type(error).__name__}: {error}"


def _plan(context: Context, run: RunRow, basis: Recorded, executed: NotebookNode, language: str) -> Plan:
    from respawn_jobs.resume.draft import EndedRun
    from respawn_jobs.resume.plan import plan_resume

    ended = EndedRun(
        run=run.id,
        kernel=run.kernel,
        lock=run.lock,
        cells=basis.cells,
        checkpoints=[checkpoint_of(row) for row in basis.checkpoints],
        notebook=executed,
        parameters=run.parameters,
        directory=basis.directory,
    )
    return plan_resume(
        ended,
        executed,
        kernel=run.kernel,
        lock=run.lock,
        language=language,
        look=context.look,
        newer=context.newer,
    )
