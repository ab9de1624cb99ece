"""The cells of a job's runs beside each other, by the cells' stable ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.cell_grid import MAX_CELLS, MAX_RUNS, CellGrid, GridCell, GridRow
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.runs import queries
from respawn_jobs.model.runs import CellState
from respawn_jobs.notebook.document import read_notebook
from respawn_jobs.store.tables import CellRow, RunRow

_TITLE = 80
"""Characters of a title, at most."""
_MAX_READ = 4
"""How many runs' notebooks are read for titles, at most."""


def cell_grid(
    context: Context, actor: Actor, job: str, limit: int = 20, before: str | None = None
) -> CellGrid:
    """Return the cells of a job's latest runs; see `HistoryService.cell_grid`.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        job: the job, as `find_job` takes it.
        limit: the most runs, up to `MAX_RUNS`.
        before: the id of a run; only those before it are shown. None for the newest.

    Raises:
        InvalidInput: see `queries.runs`.
        NotFound, Forbidden: see `find_job`.
    """
    newest_first = queries.runs(context, actor, job, (), min(limit, MAX_RUNS), before)
    ids = [run.id for run in newest_first]
    with context.database.session() as session:
        cells = _cells(session, ids)
        skeletons = _skeletons(session, ids)
    order = merged([cell.cell_id for cell in cells[run]] for run in ids)
    titles = _titles(context.blobs, [skeletons.get(run) for run in ids], set(order[:MAX_CELLS]))
    by_run = [{cell.cell_id: _shown(cell) for cell in cells[run]} for run in reversed(ids)]
    return CellGrid(
        runs=[run.listed() for run in reversed(newest_first)],
        rows=[
            GridRow(cell_id=one, title=titles.get(one, ""), cells=[cells.get(one) for cells in by_run])
            for one in order[:MAX_CELLS]
        ],
        left_out=max(0, len(order) - MAX_CELLS),
    )


def merged(orders: Iterable[Sequence[str]]) -> list[str]:
    """Return all ids in one order: that of the first list; what only later ones have follows its neighbour.

    Args:
        orders: lists of ids without repetitions.
    """
    found: list[str] = []
    known: set[str] = set()
    for order in orders:
        place = 0
        for one in order:
            if one in known:
                place = found.index(one) + 1
                continue
            found.insert(place, one)
            known.add(one)
            place += 1
    return found


def _cells(session: Session, runs: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """Return the cells of each run's latest attempt, in their order."""
    found: dict[str, list[Row[Any]]] = {run: [] for run in runs}
    latest = (
        select(CellRow.run_id, func.max(CellRow.attempt).label("attempt"))
        .where(CellRow.run_id.in_(runs))
        .group_by(CellRow.run_id)
        .subquery()
    )
    place = CellRow.index.label("place")  # a row has a method `index`
    columns = (CellRow.run_id, CellRow.cell_id, place, CellRow.state, CellRow.seconds, CellRow.cost)
    query = (
        select(*columns)
        .join(latest, (latest.c.run_id == CellRow.run_id) & (latest.c.attempt == CellRow.attempt))
        .order_by(CellRow.index)
    )
    for cell in session.execute(query) if runs else ():
        found[cell.run_id].append(cell)
    return found


def _skeletons(session: Session, runs: Sequence[str]) -> dict[str, str]:
    query = select(RunRow.id, RunRow.skeleton).where(RunRow.id.in_(runs))
    return {run: one for run, one in session.execute(query) if one is not None} if runs else {}


def _titles(blobs: BlobStore, skeletons: Sequence[str | None], wanted: set[str]) -> dict[str, str]:
    """Return the first lines of cells, from the newest notebooks that have them."""
    found: dict[str, str] = {}
    for skeleton in list(dict.fromkeys(one for one in skeletons if one is not None))[:_MAX_READ]:
        if wanted <= found.keys():
            break
        try:
            notebook = read_notebook(blobs.get(skeleton).decode())
        except (NotFound, InvalidInput):  # the grid is there to look at: it goes without
            continue
        for cell in notebook.cells:
            if cell.get("id") in wanted:
                found.setdefault(cell["id"], _first_line(cell["source"]))
    return found


def _first_line(source: str) -> str:
    line = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return line if len(line) <= _TITLE else f"{line[: _TITLE - 1]}…"


def _shown(cell: Row[Any]) -> GridCell:
    return GridCell(
        index=cell.place,
        state=CellState(cell.state),
        seconds=cell.seconds,
        memory_bytes=(cell.cost or {}).get("memory_bytes"),
    )
