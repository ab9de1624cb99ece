"""A job with many runs is removed in short transactions: nobody else waits long for its rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.api.versions import JobChange
from respawn_jobs.ids import new_id
from respawn_jobs.store.database import Database
from respawn_jobs.store.tables import (
    AttemptRow,
    CellRow,
    CheckpointBlobRow,
    CheckpointRow,
    JobRow,
    RunRow,
    VersionRow,
)
from support.notebooks import notebook, text
from support.queues import Stage
from support.runners import PlayedRunner

pytestmark = [pytest.mark.integration, pytest.mark.slow]
RUNS, CELLS, VERSIONS = 2_000, 20, 50
OF_A_RUN = (AttemptRow, CellRow, CheckpointRow, CheckpointBlobRow)
JOB = "team/risk/report"


@pytest.fixture
def stage(db_url: str, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(db_url, tmp_path)
    yield stage
    stage.close()


@contextmanager
def transactions(database: Database) -> Iterator[list[float]]:
    """Note how long each transaction lasts, in seconds."""
    lasted: list[float] = []
    begun: dict[int, float] = {}

    def begin(connection: Any) -> None:
        begun[id(connection)] = time.monotonic()

    def end(connection: Any) -> None:
        lasted.append(time.monotonic() - begun.pop(id(connection)))

    listeners = [("begin", begin), ("commit", end), ("rollback", end)]
    for name, listener in listeners:
        event.listen(database.engine, name, listener)
    try:
        yield lasted
    finally:
        for name, listener in listeners:
            event.remove(database.engine, name, listener)


def _copies(stage: Stage, run: str, count: int) -> None:
    """Insert copies of a run with all that belongs to it, each of one of several versions."""
    with stage.database.session(write=True) as session:
        whole = session.get_one(RunRow, run)
        version = session.get_one(VersionRow, whole.version_id)
        versions = [new_id("ver") for _ in range(VERSIONS)]
        session.execute(
            insert(VersionRow),
            [{**_columns(version), "id": one, "number": at} for at, one in enumerate(versions, 2)],
        )
        ids = [new_id("run") for _ in range(count)]
        session.execute(
            insert(RunRow),
            [
                {**_columns(whole), "id": one, "version_id": versions[at % VERSIONS]}
                for at, one in enumerate(ids)
            ],
        )
        for table in OF_A_RUN:
            rows = [_columns(row) for row in session.scalars(select(table).where(table.run_id == run))]
            fresh = [
                {**row, "run_id": one, **({"id": new_id("att")} if "id" in row else {})}
                for one in ids
                for row in rows
            ]
            session.execute(insert(table), fresh)


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}


def test_a_job_with_many_runs_is_removed_in_short_transactions(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    cells = notebook(*(f"a{number} = {number}" for number in range(CELLS)))
    stage.root.promote(Promotion(name="report", namespace="team/risk", notebook=text(cells)))
    run = stage.root.run(RunRequest(job=JOB)).id
    played = PlayedRunner(stage.ledger, run)
    played.begin()
    for cell in range(CELLS):
        played.execute(cell)
    played.succeed()
    stage.ledger.trigger_downstream()
    _copies(stage, run, RUNS - 1)
    stage.root.change_job(JOB, JobChange(archived=True))

    with transactions(stage.database) as lasted:
        stage.root.remove_job(JOB)
    record_property("longest", round(max(lasted), 3))

    with stage.database.session() as session:
        for table in (*OF_A_RUN, RunRow, VersionRow, JobRow):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    assert len(lasted) > RUNS / 100
    assert max(lasted) < 3
