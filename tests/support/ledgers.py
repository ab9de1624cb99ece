"""An embedded ledger with a clock that tests move, and what people do with it: fixtures of several rooms."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest, Service
from respawn_jobs.cli.entry import run_command
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import Run
from respawn_jobs.model.settings import JobSettings
from support.clocks import MovedClock
from support.notebooks import notebook, text
from support.postgres import Postgres
from support.runners import fail_third_cell


@cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        Ledger.embedded(Path(directory, "data")).close()
        return Path(directory, "data", "respawn.db").read_bytes()


def prepared_data(data: Path) -> Path:
    """Lay a database without rows into a ledger's directory: its tables take longer than most tests."""
    data.mkdir(mode=0o700, parents=True)
    database = data / "respawn.db"
    database.touch(mode=0o600)
    database.write_bytes(_empty_database())
    return data


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let the tests of files that have `BOTH_DATABASES` run on each; see `database_kind`."""
    both = getattr(metafunc.module, "BOTH_DATABASES", False)
    if "database_kind" in metafunc.fixturenames and both:
        unknown = set() if both is True else both - set(vars(metafunc.module))
        assert not unknown, f"no tests of these names: {unknown}"
        quick = both is True or metafunc.function.__name__ in both
        postgresql = pytest.param("postgresql", marks=pytest.mark.long if quick else pytest.mark.slow)
        metafunc.parametrize("database_kind", ["sqlite", postgresql], indirect=True)


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of database that a test's ledger has: SQLite, or what `RESPAWN_TEST_DATABASE` says.

    `RESPAWN_TEST_DATABASE=postgresql pytest tests/unit/jobs tests/integration/ledger` runs every test of the
    ledger on PostgreSQL.
    Files whose promises rest on locks and unique constraints say `BOTH_DATABASES = True` and run on both.
    Where it is a set of names, `make test-long` tries these tests on PostgreSQL: what happens at once,
    constraints, orders, times. On the other tests the database has little bearing; there they are slow.
    """
    return str(getattr(request, "param", os.environ.get("RESPAWN_TEST_DATABASE", "sqlite")))


@pytest.fixture
def store_url(request: pytest.FixtureRequest, database_kind: str, tmp_path: Path) -> Iterator[str]:
    """The URL of the ledger's database, for tests that open it once more."""
    if database_kind == "sqlite":
        yield f"sqlite:///{prepared_data(tmp_path / 'data')}/respawn.db"
        return
    cluster: Postgres = request.getfixturevalue("postgres")
    url = cluster.prepared()
    yield url
    cluster.drop(url)


@pytest.fixture
def ledger(tmp_path: Path, store_url: str, clock: MovedClock) -> Iterator[Ledger]:
    """A ledger on a database of its own kind: see `database_kind`."""
    ledger = Ledger.embedded(tmp_path / "data", db_url=store_url, clock=clock)
    yield ledger
    ledger.close()


@pytest.fixture
def ada(ledger: Ledger) -> Service:
    """A person who may edit her own namespace and nothing else."""
    return ledger.as_actor(Actor("ada", frozenset({"custom:respawn:edit!user=ada"})))


@pytest.fixture
def bob(ledger: Ledger) -> Service:
    return ledger.as_actor(Actor("bob", frozenset({"custom:respawn:edit!user=bob"})))


@pytest.fixture
def queue(ada: Service) -> Callable[..., Run]:
    """Promote a notebook of these cells as ada's `report` and queue a run of it."""

    def queue(
        *cells: str,
        tags: dict[int, list[str]] | None = None,
        parameters: str | None = None,
        given: dict | None = None,
        **settings: object,
    ) -> Run:
        nb = notebook(*(cells or ("a = 1", "b = a", "c = b")), tags=tags, parameters=parameters)
        ada.promote(Promotion(name="report", notebook=text(nb), settings=JobSettings(**settings)))
        return ada.run(RunRequest(job="report", parameters=given or {}))

    return queue


@pytest.fixture
def failed(queue: Callable[..., Run], ledger: Ledger) -> Run:
    """A run of three cells whose last one failed."""
    return fail_third_cell(ledger, queue("a = 1", "b = a", "c = d"))


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in a fresh directory; returns the exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run_command(arguments)
        return (status, *capsys.readouterr())

    return run
