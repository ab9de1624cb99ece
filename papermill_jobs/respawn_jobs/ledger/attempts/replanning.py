"""A plan is a prediction: it is made anew when a cell that ran again did otherwise than was planned.

While the attempt executes, what the new plan wants besides is done in the same kernel where that gives the
same as starting over: cells further down run too. Else the attempt ends with `PlanChanged`. The run is then
tried again from the new plan, unless that would run a cell which nobody agreed to run again: then it ends,
with its states, and the next resume tells what it would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.api.runner_protocol import PLAN_CHANGED, Reconsidered, ResumeFrom
from respawn_jobs.dataflow import Footprint, label_of
from respawn_jobs.ledger.attempts.retry_start import RetryRefusal, RetryStart
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.resume import side_effects
from respawn_jobs.ledger.resume.carried_edits import Carrying
from respawn_jobs.ledger.resume.carry_over import Recorded, executed, recorded, taken_over
from respawn_jobs.ledger.resume.request import ended_of
from respawn_jobs.ledger.runs.cell_records import begins_from, cells_of
from respawn_jobs.ledger.runs.rows import cell_of
from respawn_jobs.model.plans import Plan, PlanAction
from respawn_jobs.model.runs import CellState
from respawn_jobs.notebook.document import read_notebook
from respawn_jobs.resume.draft import Agreed
from respawn_jobs.resume.plan import plan_resume
from respawn_jobs.store.tables import AttemptRow, RunRow, VersionRow
from respawn_kernels.evidence import CellEvidence

if TYPE_CHECKING:
    from nbformat import NotebookNode

MAX_PLANS = 3
"""How many attempts of a run may end because their plan changed."""
_RAN = (CellState.EXECUTED, CellState.FAILED)


def reconsider(
    context: Context, session: Session, run: RunRow, attempt: AttemptRow, done: Sequence[int]
) -> Reconsidered:
    """Make the plan of an attempt anew; see `RunnerPort.reconsider`.

    Args:
        context: the ledger's surroundings.
        session: reads the run.
        run: the run.
        attempt: its present attempt.
        done: indexes of the cells that the attempt has executed.
    """
    start = begins_from(run)
    basis = _basis(session, run, start)
    if start is None or basis is None:
        return Reconsidered(stop="the run whose states it started from is no longer kept")
    seen = _seen(session, run, attempt.number)
    planned = _plan(context, session, run, basis, start, seen, only=start.manifest)
    footprints = {one.index: one.footprint for one in planned.predictions}
    written = [footprints[index] for index in done if index in footprints]
    stale = set(planned.stale) - set(start.stale)
    stop = _why_not_here(start, planned, done) or _read_too_late(stale, written)
    return Reconsidered(
        rerun=[index for index in planned.rerun if index not in done],
        forget=sorted(name for name in stale if not any(one.may_write(name) for one in written)),
        predictions=planned.predictions,
        stop=stop,
    )


def start_anew(
    context: Context, session: Session, run: RunRow, attempt: AttemptRow
) -> RetryStart | RetryRefusal:
    """Return where a run goes on whose attempt ended as its plan changed, or why a person must decide.

    Args:
        context: the ledger's surroundings.
        session: reads the run.
        run: the run.
        attempt: the attempt that ended.
    """
    start = begins_from(run)
    basis = _basis(session, run, start)
    cells = cells_of(session, run, attempt.number)
    at = int((attempt.error or {}).get("cell") or 0)
    if start is None or basis is None:
        return RetryRefusal(at, "the run whose states it started from is no longer kept: restart it")
    ended = session.scalars(select(AttemptRow.error).where(AttemptRow.run_id == run.id)).all()
    if sum((error or {}).get("name") == PLAN_CHANGED for error in ended) >= MAX_PLANS:
        return RetryRefusal(at, f"its plan changed {MAX_PLANS} times: resume it with --strict")
    if basis.run.id != run.id:
        basis.since = executed(session, run)
    planned = _plan(context, session, run, basis, start, _seen(session, run, None))
    problems = [*planned.problems, *_doubted(start, planned)]
    if problems:
        return RetryRefusal(at, "; ".join(problems))
    taken = taken_over(basis, _executed(context, run), planned, _agreed(start))
    again = side_effects.executed_again([cell_of(cell, None, evidence=False) for cell in cells], taken.start)
    if again is not None:
        return RetryRefusal(again.index, f"not tried again: {side_effects.describe_cell(again)}")
    note = f"it starts again by a new plan, from cell {min([taken.start.first, *taken.start.rerun])}"
    return RetryStart(taken.start, note, taken=taken, lock=run.lock)


def _basis(session: Session, run: RunRow, start: ResumeFrom | None) -> Recorded | None:
    """Return the run whose states the attempt started from; None when it is gone."""
    row = session.get(RunRow, start.basis) if start is not None and start.basis is not None else None
    return recorded(session, row) if row is not None else None


def _executed(context: Context, run: RunRow) -> NotebookNode:
    return read_notebook(context.blobs.get(str(run.skeleton)).decode())


def _agreed(start: ResumeFrom) -> Agreed:
    return Agreed(rerun_once=start.rerun_once, rerun_producers=start.rerun_producers, strict=start.strict)


def _seen(session: Session, run: RunRow, attempt: int | None) -> dict[int, CellEvidence]:
    """Return what was seen of the cells that an attempt, or any of the run's, has executed."""
    numbers = [attempt] if attempt is not None else range(1, run.attempt + 1)
    rows = [row for number in numbers for row in cells_of(session, run, number, evidence=True)]
    records = [cell_of(row, None) for row in rows if row.state in _RAN]
    return {cell.index: cell.evidence for cell in records if cell.evidence is not None}


def _plan(
    context: Context,
    session: Session,
    run: RunRow,
    basis: Recorded,
    start: ResumeFrom,
    seen: dict[int, CellEvidence],
    *,
    only: str | None = None,
) -> Plan:
    version = session.get_one(VersionRow, run.version_id)
    return plan_resume(
        ended_of(context, basis, Carrying.of(version)),
        _executed(context, run),
        kernel=run.kernel,
        lock=run.lock,
        language=version.language,
        parameters=run.parameters,
        agreed=_agreed(start),
        seen=seen,
        look=context.look,
        only=only,
    )


def _why_not_here(start: ResumeFrom, planned: Plan, done: Sequence[int]) -> str | None:
    """Return why the kernel cannot go on by the new plan as if it had started by it; None when it can."""
    problems = [*planned.problems, *_doubted(start, planned)]
    if problems:
        return "; ".join(problems)
    first = len(planned.cells) if planned.first is None else planned.first
    manifest = planned.checkpoint.manifest if planned.checkpoint is not None else None
    if manifest != start.manifest or (planned.first is not None and first != start.first):
        return "the state that it started from does not do"
    missed = [index for index in planned.rerun if done and index < done[-1] and index not in done]
    return f"cell {missed[0]} must run before it" if missed else None


def _read_too_late(stale: set[str], done: Sequence[Footprint]) -> str | None:
    """Return which variable a cell that has run may have read as it should not have been."""
    made: set[str] = set()
    for one in done:
        for name in sorted(stale - made):
            if one.may_read(name):
                return f"{label_of(name)}, which it may have read, is made again by another cell"
        made |= one.sure
    return None


def _doubted(start: ResumeFrom, planned: Plan) -> list[str]:
    """Return the cells that would run, of those that a person agreed to reuse in spite of a doubt."""
    running = {cell.index: cell for cell in planned.cells if cell.action is not PlanAction.REUSE}
    return [
        f"cell {index}, which was agreed to be reused, would run again: {running[index].why}"
        for index in start.accepted
        if index in running
    ]
