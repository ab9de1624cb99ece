"""A store of an earlier version keeps all that it holds when it is brought up to date, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, delete, insert, select, text

from respawn_jobs.access import Actor
from respawn_jobs.blobs import BlobStore
from respawn_jobs.ledger import Ledger
from respawn_jobs.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.service_history import ImportRequest
from respawn_jobs.store import database as module
from respawn_jobs.store.database import HEAD, Database
from respawn_jobs.store.tables import ArtifactRow, BlobRow, NamespaceBlobRow, RunRow
from support.clocks import MovedClock
from support.lengths import quick
from support.notebooks import notebook
from support.notebooks import text as notebook_text
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
_ADA = Actor.owner("ada")
_REVISIONS = sorted(
    path.name[1:5] for path in (module._MIGRATIONS / "versions").glob("v*.py") if path.name[1:5] != HEAD
)
_AUTHORS = "0009"
"""The revision from which on a run tells whose code has made its state."""


@pytest.fixture
def old_url(db_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, of the same kind as `db_url`."""
    if db_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/old.db"
        return
    cluster = request.getfixturevalue("postgres")
    url = cluster.empty()
    yield url
    cluster.drop(url)


@pytest.mark.parametrize("revision", quick({0, len(_REVISIONS) - 1}, _REVISIONS))
def test_a_store_of_an_earlier_version_goes_on_with_its_runs(
    db_url: str, old_url: str, tmp_path: Path, revision: str
) -> None:
    clock = MovedClock(datetime(2026, 3, 2, 8, 0, 30, tzinfo=UTC))
    before = _opened(db_url, tmp_path, clock)
    runs = _history(before, clock)
    ada = before.as_actor(_ADA)
    shown = {run: ada.show(run) for run in runs}
    listed, audit = ada.runs(limit=100), ada.audit()
    before.close()
    _copy(db_url, old_url, revision)

    after = _opened(old_url, tmp_path, clock)
    ada = after.as_actor(_ADA)
    assert _revision(after.database) == HEAD
    assert ada.runs(limit=100) == [
        run.model_copy(
            update={
                "trigger_id": run.schedule,
                "logical_at": run.due_at or run.created_at,
                "authors": run.authors if revision >= _AUTHORS else [],
            }
        )
        for run in listed
    ]
    for run, detail in shown.items():
        assert ada.show(run).cells == detail.cells, "cells ran under their run's parameters and lock"
        assert ada.show(run).checkpoints == detail.checkpoints
    assert ada.audit() == audit
    assert after.verify_audit() == len(audit)
    _check_filled_in(after)
    failed, scheduled = runs[0], runs[-1]
    assert [kept.name for kept in ada.artifacts(failed)] == ([] if revision == "0001" else ["model"])

    clock.now -= timedelta(minutes=1)  # by the same time again
    assert after.queue_due() == [], "it made its run before"
    clock.now += timedelta(minutes=2)
    (made,) = after.queue_due()
    assert ada.show(made).run.schedule == ada.show(scheduled).run.schedule
    resumed = PlayedRunner(after, ada.resume(failed, ResumeRequest()).id)
    assert resumed.assignment.resume is not None
    assert resumed.assignment.resume.first == ada.show(failed).cells[-1].index, "all that was done is reused"
    after.close()


def test_runs_that_were_imported_before_are_still_the_archives(
    db_url: str, old_url: str, tmp_path: Path
) -> None:
    clock = MovedClock(datetime(2026, 3, 2, 8, 0, 30, tzinfo=UTC))
    before = _opened(db_url, tmp_path, clock)
    ada = before.as_actor(_ADA)
    ada.promote(Promotion(name="report", notebook=notebook_text(notebook("b = 2", "c = d"))))
    failed = ada.run(RunRequest(job="report")).id
    runner = PlayedRunner(before, failed)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    ada.export_run(failed, tmp_path / "run.zip")
    imported = ada.import_run(tmp_path / "run.zip", ImportRequest(namespace="team/risk", job="imported"))
    resumed = ada.resume(imported.id, ResumeRequest(load_imported=True))
    version = ada.version(imported.id)
    told = {run.id: run.authors for run in (ada.show(imported.id).run, ada.show(resumed.id).run)}
    before.close()
    _copy(db_url, old_url, "0008")

    after = _opened(old_url, tmp_path, clock)
    ada = after.as_actor(_ADA)
    archive = [f"archive of {failed}, exported by {_ADA.name}"]
    assert told[imported.id] == archive
    assert {run: ada.show(run).run.authors for run in told} == told
    assert ada.version(imported.id).authors == version.authors == archive
    after.close()


def _history(ledger: Ledger, clock: MovedClock) -> list[str]:
    """Make runs in several states, with what belongs to them; the first failed, the last was scheduled."""
    ada = ledger.as_actor(_ADA)
    source = notebook_text(notebook("b = 2", "c = d", parameters="a = 1"))
    ada.promote(Promotion(name="report", namespace="team/risk", notebook=source))
    job = "team/risk/report"
    failed, done, cancelled, running, waits = (
        ada.run(RunRequest(job=job, parameters={"a": number})).id for number in range(5)
    )
    runner = PlayedRunner(ledger, failed)
    runner.begin()
    cells = [cell.index for cell in ada.show(failed).cells]
    for index in cells[:-1]:
        runner.execute(index)
    runner.fail(cells[-1])
    with ledger.database.session(write=True) as session:
        session.add(_artifact(failed, clock()))
    runner = PlayedRunner(ledger, done)
    runner.begin()
    for index in cells:
        runner.execute(index)
    runner.succeed()
    ada.cancel(cancelled)
    PlayedRunner(ledger, running).begin()
    ada.schedule(ScheduleRequest(job=job, cron="* * * * *", tz="UTC", parameters={"a": 7}))
    clock.now += timedelta(minutes=1)
    (scheduled,) = ledger.queue_due()
    states = [ada.show(run).run.state for run in (failed, done, cancelled, running, waits, scheduled)]
    assert states == ["failed", "succeeded", "cancelled", "running", "queued", "queued"]
    return [failed, done, cancelled, running, waits, scheduled]


def _artifact(run: str, now: datetime) -> ArtifactRow:
    return ArtifactRow(
        run_id=run, name="model", number=1, attempt=1, made_in=run, cell=0, kind="json", type="dict",
        description="", file="model.json", size=2, saved_at=now, meta={}, parts=[],
    )  # fmt: skip


def _check_filled_in(ledger: Ledger) -> None:
    with ledger.database.session() as session:
        for row in session.scalars(select(RunRow)):
            assert row.namespace == "team/risk"
            assert row.logical_at == (row.due_at or row.created_at)
            assert (row.trigger_id is None) == (row.schedule_id is None)
        held = set(session.scalars(select(NamespaceBlobRow.digest)))
        assert held
        assert held == set(session.scalars(select(BlobRow.digest))), "blobs that were there are registered"


def _opened(url: str, directory: Path, clock: MovedClock) -> Ledger:
    database = Database(url)
    database.prepare()
    return Ledger(database, BlobStore((directory / "blobs").as_uri()), clock=clock)


def _revision(database: Database) -> str | None:
    with database.session() as session:
        return session.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _copy(newer_url: str, url: str, revision: str) -> None:
    """Fill an empty database with what a store of an earlier revision can hold of another one."""
    newer, older = Database(newer_url), Database(url)
    config = Config()
    config.set_main_option("script_location", str(module._MIGRATIONS))
    with older.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    assert _revision(older) == revision
    theirs, ours = MetaData(), MetaData()
    theirs.reflect(newer.engine)
    ours.reflect(older.engine)
    with newer.engine.connect() as source, older.session(write=True) as target:
        for table in ours.sorted_tables:
            if table.name == "alembic_version":
                continue
            columns = [theirs.tables[table.name].c[column.name] for column in table.columns]
            rows = [dict(row) for row in source.execute(select(*columns)).mappings()]
            target.execute(delete(table))
            if rows:
                target.execute(insert(table), rows)
    newer.close()
    older.close()
