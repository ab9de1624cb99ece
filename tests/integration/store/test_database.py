"""The database on real SQLite files and a real PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from respawn_jobs.errors import Conflict, InvalidInput, Unavailable
from respawn_jobs.store.columns import Base
from respawn_jobs.store.database import Database
from respawn_jobs.store.schema import OURS
from respawn_jobs.store.tables import JobRow

pytestmark = pytest.mark.integration


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """The URL of a database without tables, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store/respawn.db"
        return
    cluster = request.getfixturevalue("postgres")
    url = cluster.empty()
    yield url
    cluster.drop(url)


@pytest.fixture
def empty(empty_url):
    database = Database(empty_url)
    yield database
    database.close()


@pytest.fixture
def database(db_url):
    database = Database(db_url)
    yield database
    database.close()


def test_a_proof_of_writes_changes_nothing_and_leaves_nothing(db_url, tmp_path):
    database = Database(db_url)
    database.prove_writes()
    database.prove_writes()
    database.check()
    assert database.revision() == OURS.head
    database.close()
    assert not list(tmp_path.rglob(".incomplete-*"))


def a_job(**more):
    return JobRow(
        **{
            "id": "job-1", "namespace": "user/ada", "name": "a", "version": 1, "settings": {},
            "created_by": "ada", "created_at": datetime(2026, 1, 1, tzinfo=UTC), **more,
        }
    )  # fmt: skip


def test_the_migrated_schema_is_the_tables(empty):
    empty.prepare()
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_store_that_is_up_to_date_is_opened_without_alembic(db_url):
    code = (
        "import sys; from respawn_jobs.store.database import Database; "
        "Database(sys.argv[1]).prepare(); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, db_url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_processes_may_prepare_a_fresh_store_at_once(empty_url):
    code = "import sys; from respawn_jobs.store.database import Database; Database(sys.argv[1]).prepare()"
    started = [subprocess.Popen([sys.executable, "-c", code, empty_url]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in started] == [0, 0]
    database = Database(empty_url)
    with database.session() as session:
        assert session.execute(text("SELECT count(*) FROM audit_head")).scalar() == 1
    database.close()


def test_many_threads_may_prepare_fresh_stores_at_once(tmp_path):
    databases = [Database(f"sqlite:///{tmp_path}/{number % 2}.db") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(Database.prepare, databases))
    for database in databases:
        with database.session() as session:
            assert session.execute(text("SELECT count(*) FROM audit_head")).scalar() == 1
        database.close()


def test_a_store_of_a_newer_version_is_refused(database):
    with database.session(write=True) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="newer version"):
        database.prepare()


def test_a_transaction_is_whole_or_absent(database):
    def write_and_fail() -> None:
        with database.session(write=True) as session:
            session.add(a_job())
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with database.session() as session:
        assert session.get(JobRow, "job-1") is None


def test_writers_queue_up_instead_of_failing(database):
    def count_up(_: int) -> None:
        with database.session(write=True) as session:
            job = session.get_one(JobRow, "job-1", with_for_update=True)
            job.version += 1

    with database.session(write=True) as session:
        session.add(a_job(version=0))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count_up, range(80)))
    with database.session() as session:
        assert session.get_one(JobRow, "job-1").version == 80


def test_times_come_back_aware_and_in_utc(database):
    berlin = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with database.session(write=True) as session:
        session.add(a_job(created_at=berlin))
    with database.session() as session:
        stored = session.get_one(JobRow, "job-1").created_at
    assert stored == berlin
    assert stored.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(database):
    with pytest.raises(StatementError, match="no time zone"), database.session(write=True) as session:
        session.add(a_job(created_at=datetime(2026, 7, 1)))


@pytest.mark.parametrize("url", ["nonsense", "oracle9://x", "sqlite://", "sqlite:///:memory:", "mysql://x/y"])
def test_a_url_that_cannot_be_used_is_refused(url):
    with pytest.raises(InvalidInput):
        Database(url)


@pytest.mark.parametrize(
    "url", ["postgresql://u:hush@h:hush/db", "postgresql://u@h/db?password=hush&nonsense=1", "hush@nonsense"]
)
def test_a_password_is_never_told(url):
    try:
        told = Database(url).url
    except InvalidInput as error:
        told = str(error)
    assert "hush" not in told


def test_what_is_read_in_one_transaction_is_of_one_moment(database):
    count = text("SELECT count(*) FROM jobs")
    with database.session() as reading:
        assert reading.execute(count).scalar() == 0
        with database.session(write=True) as session:
            session.add(a_job())
        assert reading.execute(count).scalar() == 0
    with database.session() as reading:
        assert reading.execute(count).scalar() == 1


def test_a_file_that_is_no_database_is_unavailable_and_says_where(tmp_path):
    path = tmp_path / "respawn.db"
    path.mkdir()
    database = Database(f"sqlite:///{path}")
    with pytest.raises(Unavailable, match=r"respawn\.db"):
        database.prepare()
    database.close()


def test_a_file_of_something_else_is_unavailable_in_words(tmp_path):
    (tmp_path / "respawn.db").write_text("a shopping list" * 100)
    database = Database(f"sqlite:///{tmp_path}/respawn.db")
    with pytest.raises(Unavailable, match="its file is not a database"):
        database.prepare()
    database.close()


def test_a_directory_that_cannot_be_made_is_unavailable_in_words(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be made"):
        Database(f"sqlite:///{tmp_path}/file/store/respawn.db")
