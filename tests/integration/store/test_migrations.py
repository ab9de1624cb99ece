"""A store of an earlier version keeps all that it holds when it is brought up to date, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import MetaData, delete, insert, inspect, select, text

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.ledger import Ledger
from respawn_jobs.store.database import Database
from respawn_jobs.store.schema import OURS
from respawn_jobs.store.tables import ArtifactRow
from support.clocks import MovedClock
from support.later_schemas import later, script
from support.lengths import quick
from support.notebooks import notebook
from support.notebooks import text as notebook_text
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
_ADA = Actor.owner("ada")
_REVISIONS = sorted(path.name[1:5] for path in (OURS.scripts / "versions").glob("v*.py"))
"""All of them, the newest too: what is copied into a store of that one is all that a store holds."""
_NUMBER = int(OURS.head) + 1
_STEP = """
def upgrade() -> None:
    op.add_column("jobs", sa.Column("colour", sa.String(16), nullable=False, server_default="red"))
    op.execute("UPDATE jobs SET colour = name WHERE name = 'report'")
"""
_BROKEN_STEP = _STEP + '    op.execute("UPDATE no_such_table SET a = 1")\n'


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(datetime(2026, 3, 2, 8, 0, 30, tzinfo=UTC))


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
    db_url: str, old_url: str, tmp_path: Path, clock: MovedClock, revision: str
) -> None:
    before = _opened(db_url, tmp_path, clock)
    runs = _history(before, clock)
    ada = before.as_actor(_ADA)
    shown = {run: ada.show(run) for run in runs}
    listed, audit = ada.runs(limit=100), ada.audit()
    before.close()
    _copy(db_url, old_url, revision)

    after = _opened(old_url, tmp_path, clock)
    ada = after.as_actor(_ADA)
    assert after.database.revision() == OURS.head
    assert ada.runs(limit=100) == listed
    for run, detail in shown.items():
        assert ada.show(run).cells == detail.cells, "cells ran under their run's parameters and lock"
        assert ada.show(run).checkpoints == detail.checkpoints
    assert ada.audit() == audit
    assert after.verify_audit() == len(audit)
    failed, scheduled = runs[0], runs[-1]
    assert [kept.name for kept in ada.artifacts(failed)] == ["model"]

    clock.now -= timedelta(minutes=1)  # by the same time again
    assert after.queue_due() == [], "it made its run before"
    clock.now += timedelta(minutes=2)
    (made,) = after.queue_due()
    assert ada.show(made).run.schedule == ada.show(scheduled).run.schedule
    resumed = PlayedRunner(after, ada.resume(failed, ResumeRequest()).id)
    assert resumed.assignment.resume is not None
    assert resumed.assignment.resume.first == ada.show(failed).cells[-1].index, "all that was done is reused"
    after.close()


def test_the_next_step_is_taken_once_on_a_store_with_jobs(
    db_url: str, tmp_path: Path, clock: MovedClock
) -> None:
    ledger = _opened(db_url, tmp_path, clock)
    for name in ("report", "other"):
        ledger.as_actor(_ADA).promote(Promotion(name=name, notebook=notebook_text(notebook("a = 1"))))
    ledger.close()
    schema = later(tmp_path / "next", [script(_NUMBER, _STEP, release="0.2")], release="0.2")
    for _ in range(2):
        database = Database(db_url, schema=schema)
        database.prepare()
        assert database.revision() == schema.head
        with database.session() as session:
            colours = session.execute(text("SELECT name, colour FROM jobs ORDER BY name")).all()
        assert colours == [("other", "red"), ("report", "report")]
        database.close()


def test_a_step_that_fails_leaves_the_store_as_it_was(db_url: str, tmp_path: Path, clock: MovedClock) -> None:
    _opened(db_url, tmp_path, clock).close()
    schema = later(tmp_path / "broken", [script(_NUMBER, _BROKEN_STEP, release="0.2")], release="0.2")
    database = Database(db_url, schema=schema)
    with pytest.raises(Exception, match="no_such_table"):
        database.prepare()
    database.close()
    database = Database(db_url)
    database.prepare()
    assert database.revision() == OURS.head
    with database.session() as session:
        columns = {column["name"] for column in inspect(session.connection()).get_columns("jobs")}
        stated = session.scalars(text("SELECT revision FROM schema_versions")).all()
    assert "colour" not in columns
    assert "settings" in columns
    assert stated == _REVISIONS
    database.close()


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


def _opened(url: str, directory: Path, clock: MovedClock) -> Ledger:
    database = Database(url)
    database.prepare()
    return Ledger(database, BlobStore((directory / "blobs").as_uri()), clock=clock)


def _copy(newer_url: str, url: str, revision: str) -> None:
    """Fill an empty database with what a store of an earlier revision can hold of another one."""
    newer, older = Database(newer_url), Database(url)
    older.migrate(revision)
    assert older.revision() == revision
    theirs, ours = MetaData(), MetaData()
    theirs.reflect(newer.engine)
    ours.reflect(older.engine)
    with newer.engine.connect() as source, older.session(write=True) as target:
        for table in ours.sorted_tables:
            if table.name in ("alembic_version", "schema_versions"):
                continue
            columns = [theirs.tables[table.name].c[column.name] for column in table.columns]
            rows = [dict(row) for row in source.execute(select(*columns)).mappings()]
            target.execute(delete(table))
            if rows:
                target.execute(insert(table), rows)
    newer.close()
    older.close()
