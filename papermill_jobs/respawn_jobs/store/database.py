"""A database: its engine, its transactions, and its schema brought up to date.

SQLite runs in WAL mode, and a transaction that is going to write takes its lock at the start (BEGIN
IMMEDIATE), so two writers queue up instead of failing half-way. With `synchronous=NORMAL` a killed process
loses nothing; a power cut may take back the last commits, each as a whole.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from respawn_jobs.errors import Conflict, InvalidInput, Unavailable

HEAD = "0004"
"""The newest migration, so that a store which is up to date costs one SELECT; a test compares it."""

_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_MILLISECONDS = 30_000
_WAL_PAUSE_SECONDS = 0.01
_CONNECTIONS, _MORE_CONNECTIONS = 10, 50  # more than the threads of a web server
_WRITES = "respawn_writes"
_MIGRATING = threading.Lock()
"""Alembic keeps the migration that runs in module globals, so only one may run in a process."""
_ADVISORY_KEY = 0x7265737061776E  # "respawn"


class Database:
    """One database behind one SQLAlchemy URL; safe to share between threads."""

    def __init__(self, url: str | URL) -> None:
        """Open the database at `url`; nothing is connected yet. The directory of a SQLite file is made."""
        try:
            parsed = make_url(url)
            self.url = parsed.render_as_string(hide_password=True)
            self._sqlite = parsed.get_backend_name() == "sqlite"
            if self._sqlite:
                _make_directory(parsed.database)
            self.engine: Engine = create_engine(
                parsed, pool_pre_ping=not self._sqlite, pool_size=_CONNECTIONS, max_overflow=_MORE_CONNECTIONS
            )
        except (ArgumentError, ImportError) as error:
            raise InvalidInput(f"the database URL cannot be used: {error}") from error
        if self._sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._writer = self.engine.execution_options(**{_WRITES: True})

    @contextmanager
    def session(self, *, write: bool = False) -> Iterator[Session]:
        """Give a session in one transaction: committed at the end, rolled back when the block raises.

        Raises `Unavailable` when the database does not answer or stays locked.
        """
        with self._translated():
            session = Session(self._writer if write else self.engine, expire_on_commit=False)
            with session, session.begin():
                yield session

    def prepare(self) -> None:
        """Bring the schema to `HEAD`. Raises `Conflict` when it is newer than this version knows."""
        with self._translated():
            if self._revision() == HEAD:
                return
            # Two threads or processes may get here at once: the second waits, and finds all done.
            with _MIGRATING, self._writer.begin() as connection:
                _take_turns(connection)
                self._migrate(connection)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _revision(self) -> str | None:
        try:
            with self.engine.connect() as connection:
                return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except (OperationalError, ProgrammingError) as error:
            if self._sqlite and "no such table" not in str(error):
                raise
            return None

    def _migrate(self, connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise Conflict(
                f"the database {self.url} was made by a newer version of Respawn: {error}", database=self.url
            ) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise Unavailable(f"the database {self.url} does not answer: {error.orig}") from error
        except PoolTimeout as error:
            raise Unavailable(f"the database {self.url} has no free connection") from error
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise Unavailable(f"the database {self.url} went away: {error.orig}") from error


def _take_turns(connection: Connection) -> None:
    """Let one process at a time migrate, for this transaction; SQLite's write lock has done so by now."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})


def _make_directory(file: str | None) -> None:
    if not file or file == ":memory:":
        raise InvalidInput("an in-memory database is gone when its connection closes; name a file")
    Path(file).parent.mkdir(parents=True, exist_ok=True)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions: _begin_sqlite does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
    _use_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """Turn the write-ahead log on; it stays on in the file."""
    give_up = time.monotonic() + _BUSY_MILLISECONDS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            # Race: two connections meet a new file. Each needs it alone, and SQLite does not wait for that.
            if time.monotonic() >= give_up:
                raise
            time.sleep(_WAL_PAUSE_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
