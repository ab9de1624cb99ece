"""An old replica and a new one on one database: forward beside each other, and a step back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect, text

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import Conflict, Unavailable
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.blobs.garbage_collector import GarbageCollector
from respawn_jobs.store import migration_turn
from respawn_jobs.store.database import Database
from respawn_jobs.store.schema import OURS, KnownSchema
from respawn_kernels.digest import digest_of
from support.later_schemas import INDEX, later, release_0_2, release_0_3, script
from support.notebooks import notebook
from support.notebooks import text as notebook_text
from support.old_replicas import busy_replica
from support.postgres import Postgres
from support.waiting import wait_for

pytestmark = pytest.mark.integration
_Opened = Callable[..., Database]
_ADA = Actor.owner("ada")
_TURN = 0x7265737061776E


@pytest.fixture
def opened() -> Iterator[_Opened]:
    """Open databases that are closed at the end."""
    every: list[Database] = []

    def opened(url: str, schema: KnownSchema = OURS, **more: bool) -> Database:
        every.append(Database(url, schema=schema, **more))
        return every[-1]

    yield opened
    for database in every:
        database.close()


@pytest.fixture
def old(db_url: str, tmp_path: Path, opened: _Opened) -> Ledger:
    """The ledger of a replica of the present code."""
    database = opened(db_url)
    database.prepare()
    return Ledger(database, BlobStore((tmp_path / "blobs").as_uri()))


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    url = postgres.prepared()
    yield url
    postgres.drop(url)


def test_an_old_replica_goes_on_beside_an_expansion_and_a_step_back(
    db_url: str, tmp_path: Path, old: Ledger, opened: _Opened, caplog: pytest.LogCaptureFixture
) -> None:
    schema = release_0_2(tmp_path / "next")
    new = opened(db_url, schema)
    with busy_replica(old) as replica:
        replica.goes_on()
        new.prepare()
        assert new.revision() == schema.head
        replica.goes_on()
        with new.session() as session:
            assert set(session.scalars(text("SELECT colour FROM jobs"))) == {"red"}
            assert session.scalar(text("SELECT count(*) FROM paints")) == 0
        standing = old.database.standing()
        assert standing.usable
        assert "newer version of Respawn (0.2) extended it" in standing.message
        assert "newer version of Respawn (0.2) extended it" in caplog.text

        again = opened(db_url)  # the old replica is started once more
        again.prepare()
        assert Ledger(again, old.context.blobs).as_actor(_ADA).jobs()

        assert [one.revision for one in new.step_back(OURS.head)] == ["0003", "0002"]
        assert new.revision() == OURS.head
        replica.goes_on()
        assert old.database.standing().message == ""
    assert "paints" not in inspect(new.engine).get_table_names()
    assert not new.standing().usable, "a new replica does not go on without what it needs"


def test_a_step_back_that_would_lose_data_is_refused_and_names_them(
    db_url: str, tmp_path: Path, old: Ledger, opened: _Opened
) -> None:
    schema = release_0_2(tmp_path / "next")
    new = opened(db_url, schema)
    new.prepare()
    for name in ("one", "two"):
        old.as_actor(_ADA).promote(Promotion(name=name, notebook=notebook_text(notebook("a = 1"))))
    with new.session(write=True) as session:
        session.execute(text("UPDATE jobs SET colour = 'blue' WHERE name = 'two'"))
        session.execute(text("INSERT INTO paints (name) VALUES ('blue')"))
    with pytest.raises(Conflict, match="would lose data") as refused:
        new.step_back(OURS.head)
    assert refused.value.fields["lost"] == [
        "column jobs.colour has values in 1 record", "table paints has 1 record",
    ]  # fmt: skip
    assert "restore a backup" in refused.value.message
    left = "0003" if new.kind == "sqlite" else "0002"  # where each step is a transaction of its own
    assert new.revision() == left
    with new.session(write=True) as session:
        session.execute(text("UPDATE jobs SET colour = 'red'"))
        session.execute(text("DELETE FROM paints"))
    new.step_back(OURS.head, dry_run=True)
    assert new.revision() == left
    new.step_back(OURS.head)
    assert new.revision() == OURS.head


def test_a_contraction_waits_until_it_is_asked_for_and_old_code_refuses_it_in_words(
    db_url: str, tmp_path: Path, old: Ledger, opened: _Opened
) -> None:
    schema = release_0_3(tmp_path / "next")
    new = opened(db_url, schema)
    new.prepare()
    assert new.revision() == schema.needed, "the start of a service applies what it needs"
    old.database.prepare()
    assert old.database.standing().usable

    assert [one.kind for one in new.migrate(schema.head)] == ["contract"]
    with pytest.raises(Conflict, match=r"migration 0003 of release 0\.3 removed what release 0\.1 uses"):
        opened(db_url).prepare()
    assert not old.database.standing().usable
    new.prepare()
    assert new.revision() == schema.head, "it knows its own contraction"

    new.step_back(schema.needed)
    old.database.prepare()


def test_a_contraction_is_not_applied_beside_a_replica_that_needs_what_it_takes(
    db_url: str, tmp_path: Path, old: Ledger, opened: _Opened
) -> None:
    schema = release_0_3(tmp_path / "next")
    new = opened(db_url, schema)
    new.prepare()
    old.report_replica("rep-1", host="node-7", slots=1, busy=0, draining=False, health={})
    with pytest.raises(Conflict, match=r"older ones run: rep-1 on node-7 \(0\.1\); stop them first"):
        new.migrate(schema.head)
    old.leave("rep-1")
    new.migrate(schema.head)


def test_a_step_back_is_refused_while_a_replica_needs_what_it_takes(
    db_url: str, tmp_path: Path, old: Ledger, opened: _Opened
) -> None:
    new = opened(db_url, release_0_2(tmp_path / "next"))
    new.prepare()
    ledger = Ledger(new, old.context.blobs)
    ledger.report_replica("rep-2", host="node-8", slots=1, busy=0, draining=False, health={})
    with pytest.raises(Conflict, match=r"needed by replicas that run: rep-2 on node-8 \(0\.2\)"):
        new.step_back(OURS.head)
    ledger.leave("rep-2")
    new.step_back(OURS.head)


def test_a_first_migration_has_no_way_back(db_url: str, opened: _Opened) -> None:
    database = opened(db_url)
    with pytest.raises(Conflict, match="no way back"):
        database.step_back("0000")


def test_a_database_of_an_older_version_is_refused_where_the_start_may_not_migrate(
    db_url: str, tmp_path: Path, opened: _Opened
) -> None:
    schema = release_0_2(tmp_path / "next")
    with pytest.raises(Conflict, match=r"needs 0003, and RESPAWN_MIGRATE_ON_START is off: run respawn admin"):
        opened(db_url, schema, migrates=False).prepare()
    opened(db_url, schema).migrate(schema.head)
    opened(db_url, schema, migrates=False).prepare()


def test_an_old_replica_removes_no_blobs_that_newer_records_may_name(
    db_url: str, tmp_path: Path, old: Ledger, opened: _Opened
) -> None:
    content = b"what a later column names"
    blob = digest_of(content)
    old.context.blobs.put(blob, content)
    with old.database.session(write=True) as session:
        session.execute(
            text("INSERT INTO blobs (digest, touched_at, removing) VALUES (:digest, :at, :no)"),
            {"digest": blob, "at": "2026-01-01 00:00:00", "no": False},
        )
    new = opened(db_url, release_0_2(tmp_path / "next"))
    new.prepare()
    assert GarbageCollector(old.context).step().removed == 0
    assert old.context.blobs.exists(blob)
    new.step_back(OURS.head)
    assert GarbageCollector(old.context).step().removed == 1


@pytest.mark.parametrize("make", [lambda _: OURS, release_0_3], ids=["ours", "later"])
def test_each_migration_taken_back_and_applied_again_makes_the_same_schema(
    db_url: str, tmp_path: Path, opened: _Opened, make: Callable[[Path], KnownSchema]
) -> None:
    schema = make(tmp_path / "next")
    database = opened(db_url, schema)
    database.migrate(schema.head)
    for number in range(int(schema.head), 1, -1):
        after = _shape(database)
        database.step_back(f"{number - 1:04}")
        assert _shape(database) != after
        database.migrate(f"{number:04}")
        assert _shape(database) == after
        database.step_back(f"{number - 1:04}")


def test_a_replica_waits_while_another_one_migrates(
    postgres: Postgres, postgres_url: str, tmp_path: Path, opened: _Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    schema = release_0_2(tmp_path / "next")
    new = opened(postgres_url, schema)
    with postgres.connect(_name(postgres_url)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT pg_advisory_lock(%s)", [_TURN])
        preparing = pool.submit(new.prepare)
        wait_for(lambda: "migrated by another process" in caplog.text, what="a word that it waits")
        assert not preparing.done()
        assert new.revision() == OURS.head
        other.execute("SELECT pg_advisory_unlock(%s)", [_TURN])
        preparing.result(timeout=30)
    assert new.revision() == schema.head


@pytest.mark.long
def test_a_migration_behind_a_long_transaction_keeps_nobody_waiting(
    postgres: Postgres, postgres_url: str, tmp_path: Path, opened: _Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ledger = Ledger(opened(postgres_url), BlobStore((tmp_path / "blobs").as_uri()))
    schema = release_0_2(tmp_path / "next")
    new = opened(postgres_url, schema)
    with ThreadPoolExecutor(1) as pool, busy_replica(ledger) as replica:
        with _long_transaction(postgres, postgres_url):
            preparing = pool.submit(new.prepare)
            wait_for(lambda: "waits for a long transaction" in caplog.text, what="a try that gave up")
            replica.goes_on()
            assert not preparing.done()
        preparing.result(timeout=60)
        replica.goes_on()
    assert new.revision() == schema.head


def test_a_migration_that_gets_no_lock_is_told_and_changes_nothing(
    postgres: Postgres, postgres_url: str, tmp_path: Path, opened: _Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_turn, "LOCK_SECONDS", 0.0)
    new = opened(postgres_url, release_0_2(tmp_path / "next"))
    with _long_transaction(postgres, postgres_url), pytest.raises(Unavailable, match="pg_stat_activity"):
        new.prepare()
    assert new.revision() == OURS.head
    new.prepare()


@pytest.mark.long
def test_an_index_of_a_large_table_is_built_beside_writers_and_after_one_that_broke_off(
    postgres: Postgres, postgres_url: str, tmp_path: Path, opened: _Opened
) -> None:
    number = int(OURS.head) + 1
    schema = later(tmp_path / "next", [script(number, INDEX, release="0.2")], release="0.2")
    ledger = Ledger(opened(postgres_url), BlobStore((tmp_path / "blobs").as_uri()))
    new = opened(postgres_url, schema)
    with busy_replica(ledger) as replica:
        replica.goes_on()
        _leave_an_invalid_index(postgres, postgres_url)
        assert _is_valid(new) is False
        new.prepare()
        assert _is_valid(new) is True
        replica.goes_on()
        new.step_back(OURS.head)
    assert _is_valid(new) is None


def test_replicas_that_start_at_once_migrate_once(
    postgres: Postgres, tmp_path: Path, opened: _Opened
) -> None:
    url = postgres.empty()
    schema = release_0_2(tmp_path / "next")
    databases = [opened(url, schema) for _ in range(4)]
    meet = threading.Barrier(4, timeout=30)

    def start(database: Database) -> None:
        meet.wait()
        database.prepare()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, databases))
    with databases[0].session() as session:
        stated = session.scalars(text("SELECT revision FROM schema_versions ORDER BY revision")).all()
    assert stated == [OURS.head, "0002", "0003"]
    for database in databases:
        database.close()
    postgres.drop(url)


def _shape(database: Database) -> dict[str, object]:
    found = inspect(database.engine)
    return {
        table: (
            {
                (column["name"], str(column["type"]), column["nullable"])
                for column in found.get_columns(table)
            },
            {index["name"] for index in found.get_indexes(table)},
        )
        for table in found.get_table_names()
    }


@contextmanager
def _long_transaction(cluster: Postgres, url: str) -> Iterator[None]:
    """Read a table that a migration changes, and stay in the transaction."""
    with cluster.connect(_name(url)) as connection, connection.transaction():
        connection.execute("SELECT count(*) FROM jobs")
        yield


def _leave_an_invalid_index(cluster: Postgres, url: str) -> None:
    """Leave what a process leaves that is killed while it builds an index."""
    statement = "CREATE UNIQUE INDEX CONCURRENTLY runs_of_hash ON runs ((1))"
    with cluster.connect(_name(url)) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(statement)


def _is_valid(database: Database) -> bool | None:
    query = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('runs_of_hash')")
    with database.session() as session:
        found: bool | None = session.scalar(query)
    return found


def _name(url: str) -> str:
    return url.rpartition("/")[2]
