"""A database that is down or goes away: what is said meanwhile, and that all goes on when it is back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from respawn_hub.startup.settings import Settings
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger import Ledger
from respawn_jobs.store.database import Database
from respawn_jobs.store.tables import JobRow
from support.clocks import MovedClock
from support.executors import NoPlaces
from support.lonely import TOKEN, answering_hub
from support.notebooks import notebook, text
from support.postgres import Postgres, running_postgres
from support.service import whole_service
from support.waiting import wait_for

pytestmark = pytest.mark.integration
_HEADERS = {"Authorization": f"token {TOKEN}"}


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Postgres]:
    """A cluster that tests may stop."""
    with running_postgres() as cluster:
        yield cluster


@pytest.fixture
def cluster(own_cluster: Postgres) -> Iterator[Postgres]:
    yield own_cluster
    if own_cluster.process.poll() is not None:
        own_cluster.start()


@pytest.fixture
def url(cluster: Postgres) -> str:
    """The URL of an empty database, with a password that nobody may see."""
    return cluster.empty().replace("postgres@", "postgres:hush-hush@")


@pytest.fixture
def hub_port() -> Iterator[int]:
    with answering_hub() as port:
        yield port


@pytest.mark.long
def test_a_service_starts_without_its_database_and_is_ready_when_it_comes(
    cluster: Postgres, url: str, hub_port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cluster.stop()
    settings = Settings(data=tmp_path, db_url=url)
    with whole_service(settings, hub_port=hub_port, executor=NoPlaces()) as service:
        health = httpx.get(f"{service}/api/v1/health")
        assert health.status_code == 503
        assert "database" in health.text
        refused = httpx.get(f"{service}/api/v1/jobs", headers=_HEADERS)
        assert refused.status_code == 503
        assert refused.json()["error"] == "unavailable"
        assert "does not answer" in refused.json()["message"]
        assert _promote(service).status_code == 503

        cluster.start()
        wait_for(lambda: httpx.get(f"{service}/api/v1/health").status_code == 200, 30, "a healthy service")
        assert _promote(service).status_code == 201
        assert len(httpx.get(f"{service}/api/v1/jobs", headers=_HEADERS).json()) == 1
    said = caplog.text + health.text + refused.text
    assert "hush-hush" not in said
    assert f":{cluster.port}" in said, "it is told which database"


@pytest.mark.long
def test_a_service_whose_database_went_away_catches_up_when_it_is_back(
    cluster: Postgres, url: str, hub_port: int, tmp_path: Path
) -> None:
    clock = MovedClock(datetime(2026, 3, 2, 8, 0, 30, tzinfo=UTC))
    settings = Settings(data=tmp_path, db_url=url)
    with whole_service(settings, hub_port=hub_port, executor=NoPlaces(), clock=clock) as service:
        assert _promote(service).status_code == 201
        asked = {"job": "report", "cron": "* * * * *", "tz": "UTC"}
        assert httpx.post(f"{service}/api/v1/schedules", json=asked, headers=_HEADERS).status_code == 201
        cluster.stop()
        clock.now += timedelta(minutes=10)
        wait_for(lambda: httpx.get(f"{service}/api/v1/health").status_code == 503, 30, "a sick service")
        assert httpx.get(f"{service}/api/v1/runs", headers=_HEADERS).status_code == 503

        cluster.start()
        (run,) = wait_for(lambda: _runs(service), 30, "what was due")
        assert run["due_at"] == "2026-03-02T08:10:00Z"


def test_a_session_that_the_server_ends_leaves_nothing_and_the_next_one_works(
    cluster: Postgres, url: str
) -> None:
    database = Database(url)
    database.prepare()

    def write() -> None:
        with database.session(write=True) as session:
            session.add(_job("job-1"))
            session.flush()
            cluster.disconnect(url)

    with pytest.raises(Unavailable):
        write()
    for _ in range(2):  # as many pooled connections died
        with database.session() as session:
            assert session.get(JobRow, "job-1") is None
    database.close()


def test_of_two_transactions_in_each_others_way_one_ends_and_the_other_is_told(url: str) -> None:
    database = Database(url)
    database.prepare()
    with database.session(write=True) as session:
        session.add_all([_job("job-1"), _job("job-2")])
    meet = threading.Barrier(2, timeout=30)
    refused: list[str] = []

    def change(*jobs: str) -> None:
        try:
            with database.session(write=True) as session:
                session.get_one(JobRow, jobs[0], with_for_update=True).version += 1
                meet.wait()
                session.get_one(JobRow, jobs[1], with_for_update=True).version += 1
        except Unavailable as error:
            refused.append(error.message)

    threads = [
        threading.Thread(target=change, args=order) for order in (("job-1", "job-2"), ("job-2", "job-1"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert "try again" in refused[0]
    with database.session() as session:
        assert [session.get_one(JobRow, name).version for name in ("job-1", "job-2")] == [2, 2]
    database.close()


def test_a_server_that_takes_no_more_connections_is_unavailable(cluster: Postgres, url: str) -> None:
    with cluster.connect() as connection:
        connection.execute(f'ALTER DATABASE "{url.rpartition("/")[2]}" CONNECTION LIMIT 0')
        connection.execute("CREATE ROLE visitor LOGIN")
    database = Database(url.replace("postgres:", "visitor:"))
    with pytest.raises(Unavailable, match=r"no free connection|too many connections"):
        database.prepare()
    database.close()


def test_an_account_that_may_not_make_tables_is_told_what_it_lacks(cluster: Postgres, url: str) -> None:
    with cluster.connect() as connection:
        connection.execute("CREATE ROLE guest LOGIN")
    database = Database(url.replace("postgres:", "guest:"))
    with pytest.raises(Unavailable, match="own the schema"):
        database.prepare()
    database.close()


def test_a_command_on_a_database_that_is_down_is_refused(cluster: Postgres, url: str, tmp_path: Path) -> None:
    cluster.stop()
    with pytest.raises(Unavailable, match="does not answer"):
        Ledger.open(url, (tmp_path / "blobs").as_uri())


def _promote(service: str) -> httpx.Response:
    document = {"name": "report", "notebook": text(notebook("a = 1"))}
    return httpx.post(f"{service}/api/v1/versions", json=document, headers=_HEADERS)


def _runs(service: str) -> list[dict]:
    answer = httpx.get(f"{service}/api/v1/runs", headers=_HEADERS)
    return answer.json() if answer.status_code == 200 else []


def _job(name: str) -> JobRow:
    return JobRow(
        id=name,
        namespace="user/ada",
        name=name,
        version=1,
        settings={},
        created_by="ada",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
