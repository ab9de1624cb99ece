"""What a run, or a further try at it, takes over of what was done before: cells, outputs and states."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import delete
from sqlalchemy.orm import Session

from respawn_jobs.api.runner_protocol import ResumeFrom, ReusedCell
from respawn_jobs.ledger.resume.carried_edits import Carrying
from respawn_jobs.ledger.runs.cell_records import KEPT, cells_of, checkpoints_of
from respawn_jobs.ledger.runs.rows import cell_of, checkpoint_of
from respawn_jobs.ledger.runs.work_directory import directory_of
from respawn_jobs.model.evidence import document_of
from respawn_jobs.model.plans import Plan
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.notebook.document import cell_tags, code_cells, source_hash
from respawn_jobs.resume.carry_over import kept_boundaries, mapped_checkpoint, reused_records
from respawn_jobs.resume.draft import Agreed
from respawn_jobs.store.tables import CellRow, CheckpointRow, RunRow, VersionRow

if TYPE_CHECKING:
    from nbformat import NotebookNode


_BEGUN = (CellState.RUNNING, CellState.EXECUTED, CellState.FAILED)


@dataclass
class Recorded:
    """What was recorded of a run's shown attempt."""

    run: RunRow
    cells: list[CellRecord]
    checkpoints: list[CheckpointRow]
    directory: str | None = None
    """Where it worked."""
    carrying: Carrying = field(default_factory=Carrying)
    """What its version carries."""
    since: list[CellRecord] = field(default_factory=list)
    """Cells that runs which went on from it have executed."""


@dataclass
class TakenOver:
    """What goes on: where it starts, its cells before anything executes, and the states that hold for it."""

    start: ResumeFrom
    cells: list[CellRow]
    checkpoints: list[CheckpointRow]

    def put(self, session: Session, run_id: str, number: int) -> None:
        """Make it part of a run, under an attempt number that stands for what is taken over.

        Args:
            session: the caller's transaction; it writes.
            run_id: id of the run.
            number: `INHERITED` for what a resume takes over, `KEPT` for what a retry does.
        """
        rows: list[CellRow | CheckpointRow] = [*self.cells, *self.checkpoints]
        for row in rows:
            row.run_id, row.attempt = run_id, number
        session.add_all(rows)

    @property
    def done(self) -> int:
        """How many cells are reused."""
        return sum(cell.state == CellState.REUSED.value for cell in self.cells)


def recorded(session: Session, run: RunRow) -> Recorded:
    """Return what was recorded of a run."""
    checkpoints = checkpoints_of(session, run)
    manifests = {row.cell: row.manifest for row in checkpoints}
    rows = cells_of(session, run, evidence=True)
    cells = [cell_of(cell, manifests.get(cell.index)) for cell in rows]
    version = session.get_one(VersionRow, run.version_id)
    return Recorded(run, cells, checkpoints, directory_of(session, run), Carrying.of(version))


def executed(session: Session, run: RunRow) -> list[CellRecord]:
    """Return the cells that any attempt of a run has begun to execute, with what was seen of them."""
    rows = [
        row for number in range(1, run.attempt + 1) for row in cells_of(session, run, number, evidence=True)
    ]
    return [cell for cell in (cell_of(row, None) for row in rows) if cell.state in _BEGUN]


def taken_over(
    basis: Recorded, executed: NotebookNode, planned: Plan, agreed: Agreed | None = None
) -> TakenOver:
    """Return what a plan takes over.

    Args:
        basis: the run, or attempt, whose states it starts from.
        executed: the notebook that goes on, in its executed form.
        planned: what is reused and what runs.
        agreed: what was agreed to; a plan that is made anew while it is executed keeps to it.
    """
    cells = _seeds(basis, executed, planned)
    start = _start(basis, executed, planned, cells, agreed or Agreed())
    return TakenOver(start, cells, _states(basis, executed, planned))


def forget(session: Session, run_id: str, number: int = KEPT) -> None:
    """Remove what was taken over under an attempt number.

    Args:
        session: the caller's transaction; it writes.
        run_id: id of the run.
        number: `INHERITED` for what a resume takes over, `KEPT` for what a retry does.
    """
    for table in (CellRow, CheckpointRow):
        session.execute(delete(table).where(table.run_id == run_id, table.attempt == number))


def _seeds(basis: Recorded, executed: NotebookNode, planned: Plan) -> list[CellRow]:
    """Return what is reused, as it was recorded, and the rest as pending."""
    reused = reused_records(basis.cells, executed, planned)
    rows: list[CellRow] = []
    for index, cell in code_cells(executed):
        row = CellRow(
            index=index,
            cell_id=str(cell.id),
            state=CellState.PENDING.value,
            source_hash=source_hash(cell.source),
            tags=cell_tags(cell),
        )
        if index in reused:
            old = reused[index]
            row.state = CellState.REUSED.value
            row.outputs, row.execution_count, row.seconds = old.outputs, old.execution_count, old.seconds
            row.parameters_hash, row.lock = old.parameters_hash, old.lock
            row.evidence = document_of(old.evidence) if old.evidence is not None else None
            row.cost = old.cost.model_dump(mode="json") if old.cost is not None else None
        rows.append(row)
    return rows


def _start(
    basis: Recorded, executed: NotebookNode, planned: Plan, cells: list[CellRow], agreed: Agreed
) -> ResumeFrom:
    chosen = chosen_state(basis, planned)
    return ResumeFrom(
        first=len(executed.cells) if planned.first is None else planned.first,
        rerun=planned.rerun,
        stale=planned.stale,
        bound=_first_bound(cells) if planned.rerun else {},
        manifest=chosen.manifest if chosen else None,
        blobs=chosen.blobs if chosen else [],
        reused=[
            ReusedCell(
                index=row.index,
                outputs=row.outputs,
                execution_count=row.execution_count,
                seconds=row.seconds,
            )
            for row in cells
            if row.state == CellState.REUSED.value
        ],
        predictions=planned.predictions,
        again=planned.again,
        warnings=planned.warnings,
        basis=basis.run.id,
        rerun_once=agreed.rerun_once,
        rerun_producers=agreed.rerun_producers,
        strict=agreed.strict,
        accepted=[cell.index for cell in planned.cells if cell.changed_inputs],
    )


def _first_bound(cells: list[CellRow]) -> dict[str, int]:
    """Return for each variable which of the reused cells was the first that was seen to bind it."""
    found: dict[str, int] = {}
    for row in cells:
        if row.state == CellState.REUSED.value:
            for name in (row.evidence or {}).get("bound", ()):
                found.setdefault(name, row.index)
    return found


def chosen_state(basis: Recorded, planned: Plan) -> CheckpointRow | None:
    """Return the state that a plan starts from; None for an empty kernel."""
    if planned.checkpoint is None:
        return None
    manifest = planned.checkpoint.manifest
    return next(row for row in basis.checkpoints if row.manifest == manifest)


def _states(basis: Recorded, executed: NotebookNode, planned: Plan) -> list[CheckpointRow]:
    """Return the states above all that runs or is gone. Those below hold what is made anew."""
    places = kept_boundaries(basis.cells, executed, planned)
    rows: list[CheckpointRow] = []
    for row in basis.checkpoints:
        if row.cell in places:
            document = json.loads(mapped_checkpoint(checkpoint_of(row), places).model_dump_json())
            rows.append(CheckpointRow(blobs=row.blobs, **document))
    return rows
