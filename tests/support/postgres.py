"""A real PostgreSQL for a test session, a cluster of its own: `postgres`, and `db_url` for both databases.

Needs Debian's package `postgresql`. A cluster will not run as root, so root starts it as the package's user.
Each test gets a database of its own, copied from a template that is migrated once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from respawn_jobs.store.database import Database
from support.leaks import tolerate
from support.ports import free_port
from support.waiting import wait_for

_ACCOUNT = "postgres"


@dataclass
class Postgres:
    """A running cluster."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes]
    _template: str | None = None

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{_ACCOUNT}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Connect as its administrator, every statement in a transaction of its own."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=_ACCOUNT, dbname=database, autocommit=True
        )

    def empty(self) -> str:
        """Make a database without tables and return its URL."""
        return self.url(self._create("template0"))

    def prepared(self) -> str:
        """Make a database with today's schema and return its URL."""
        if self._template is None:
            name = self._create("template0")
            database = Database(self.url(name))
            database.prepare()
            database.close()
            self._template = name
        return self.url(self._create(self._template))

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)')

    def disconnect(self, url: str) -> int:
        """End every connection to a database, and return how many there were."""
        query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        with self.connect() as connection:
            row = connection.execute(query, [_name(url)]).fetchone()
        return int(row[0]) if row else 0

    def stop(self) -> None:
        """End the server at once, as a machine that goes away would; its data stay."""
        self._control("stop", "-m", "immediate")
        self.process.wait()

    def start(self) -> None:
        """Start the server again on its port."""
        self.process = _started(self.directory, self.port)
        tolerate(self.process.pid)
        wait_for(self._answers, 30, f"PostgreSQL; see {self.directory}/log")

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"PostgreSQL ended: {(self.directory / 'log').read_text()}")
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _create(self, template: str) -> str:
        name = f"respawn_{uuid4().hex[:12]}"
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def _control(self, *arguments: str) -> None:
        command = [_program("pg_ctl"), "-D", str(self.directory / "data"), "-w", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **_account())


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a cluster, and remove it with its data afterwards."""
    # Not under pytest's own directories, which only this account may enter.
    directory = Path(tempfile.mkdtemp(prefix="respawn-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(directory, _ACCOUNT)
    try:
        command = [_program("initdb"), "-D", str(directory / "data"), "-U", _ACCOUNT, "-A", "trust", "-N"]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **_account())
        running = Postgres(directory, free_port(), subprocess.Popen(["true"]))
        running.process.wait()
        running.start()
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster for the session."""
    with running_postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with today's schema, of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/respawn.db"
        database = Database(url)
        database.prepare()
        database.close()
        yield url
        return
    cluster: Postgres = request.getfixturevalue("postgres")
    url = cluster.prepared()
    yield url
    cluster.drop(url)


def _started(directory: Path, port: int) -> subprocess.Popen[bytes]:
    options = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
        "full_page_writes": "off", "max_connections": 200,
    }  # fmt: skip
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with (directory / "log").open("ab") as log:
        return subprocess.Popen(
            [_program("postgres"), "-D", str(directory / "data"), *settings],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", **_account(),
        )  # fmt: skip


def _program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")) or [shutil.which(name)]
    if found[-1] is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return str(found[-1])


def _account() -> dict[str, Any]:
    """Return the options with which a program runs as an account that may run PostgreSQL."""
    return {"user": _ACCOUNT, "group": _ACCOUNT, "extra_groups": []} if os.geteuid() == 0 else {}


def _name(url: str) -> str:
    return url.rpartition("/")[2]
