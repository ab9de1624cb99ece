"""A database: its engine, its transactions, and its schema brought up to date.

SQLite runs in WAL mode, and a transaction that is going to write takes its lock at the start (BEGIN
IMMEDIATE), so two writers queue up instead of failing half-way. With `synchronous=NORMAL` a killed process
loses nothing; a power cut may take back the last commits, each as a whole.

On PostgreSQL a transaction that reads sees one moment, as it does on SQLite, and may not write; one that
writes sees what others committed before each statement, and locks the rows that it rests on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from respawn_jobs.errors import Conflict, InvalidInput, Unavailable
from respawn_jobs.room import prove_room
from respawn_jobs.store import postgresql, sqlite
from respawn_jobs.store.failures import translated

logger = logging.getLogger(__name__)
HEAD = "0013"
"""The newest migration, so that a store which is up to date costs one SELECT; a test compares it."""

_MIGRATIONS = Path(__file__).with_name("migrations")
_POOL_SECONDS = 10
_WRITE = "write"
_AT_COMMIT = "at_commit"
_MIGRATING = threading.Lock()
"""Alembic keeps the migration that runs in module globals, so only one may run in a process."""
_ADVISORY_KEY = 0x7265737061776E  # "respawn"


class Database:
    """One database behind one SQLAlchemy URL; safe to share between threads."""

    def __init__(self, url: str | URL) -> None:
        """Open the database at `url`; nothing is connected yet. The directory of a SQLite file is made.

        Raises `InvalidInput` for a URL that cannot be used.
        """
        parsed = _parsed(url)
        self.url = _shown(parsed)
        """The URL without its secrets."""
        self._sqlite = parsed.get_backend_name() == "sqlite"
        kind = sqlite if self._sqlite else postgresql
        try:
            self.engine: Engine = create_engine(
                kind.completed(parsed), pool_timeout=_POOL_SECONDS, **kind.ENGINE
            )
        except (ArgumentError, ImportError, TypeError) as error:
            raise InvalidInput(f"the database URL {self.url} cannot be used: {error}") from error
        kind.listen(self.engine)
        self._reader = self.engine.execution_options(**kind.READS)
        self._writer = self.engine.execution_options(**kind.WRITES)
        self._waiting = False
        # SQLite writes into pages that it has, and into its log, for a while after its disk is full.
        self._file = Path(parsed.database) if self._sqlite and parsed.database else None

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]:
        """Which database it is."""
        return "sqlite" if self._sqlite else "postgresql"

    @contextmanager
    def session(self, *, write: bool = False) -> Iterator[Session]:
        """Give a session in one transaction: committed at the end, rolled back when the block raises.

        Raises `Unavailable` when the database does not answer, stays locked, has no room, or gave the
        transaction up for another's sake. Nothing is half-written then. When the connection was lost while
        the database committed, nobody knows whether it did.
        """
        if self._waiting:
            self.prepare()
        with translated(self.url):
            bind = self._writer if write else self._reader
            session = Session(bind, expire_on_commit=False, info={_WRITE: write})
            with session, session.begin():
                yield session
                prepared = [prepare(session) for prepare in session.info.get(_AT_COMMIT, {}).values()]
        for finish in prepared:
            finish()

    def prepare(self) -> None:
        """Bring the schema to `HEAD`. Raises `Conflict` when it is newer than this version knows."""
        with translated(self.url):
            if self.revision() != HEAD:
                # Two threads or processes may get here at once: the second waits, and finds all done.
                with _MIGRATING, self._writer.begin() as connection:
                    _take_turns(connection)
                    self._migrate(connection)
        if self._waiting:
            self._waiting = False
            logger.warning("the database %s answers", self.url)

    def prepare_when_it_answers(self) -> None:
        """Bring the schema to `HEAD` now, or before the first transaction after the database is back.

        Until then every transaction raises `Unavailable`. Raises what `prepare` does for other reasons.
        """
        try:
            self.prepare()
        except Unavailable as error:
            self._waiting = True
            logger.warning("%s; it is asked again for each transaction", error.message)

    def check(self) -> None:
        """Ask for a sign of life. Raises `Unavailable` when there is none."""
        with self.session() as session:
            session.execute(text("SELECT version_num FROM alembic_version"))

    def prove_writes(self) -> None:
        """Commit a change that changes nothing, where there is room for more. Raises `Unavailable`."""
        if self._file is not None:
            try:
                prove_room(self._file.parent)
            except OSError as error:
                raise Unavailable(
                    f"the disk of the database {self.url} takes no writes: {error.strerror}",
                    database=self.url,
                ) from error
        with self.session(write=True) as session:
            session.execute(text("UPDATE alembic_version SET version_num = version_num"))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def revision(self) -> str | None:
        """Return the revision of the schema; None for a database without tables."""
        try:
            with self._reader.connect() as connection:
                return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except OperationalError as error:
            if self._sqlite and "no such table" in str(error.orig):
                return None
            raise
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) == postgresql.NO_SUCH_TABLE:
                return None
            raise

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


def at_commit(session: Session, name: str, prepare: Callable[[Session], Callable[[], None]]) -> None:
    """Have something done once a transaction of `Database.session` is committed; nothing when it is not.

    Args:
        session: in its transaction.
        name: of several with one name, the last is done.
        prepare: called at the end of the transaction, when what it takes back is taken back; returns what
            is done after it.
    """
    session.info.setdefault(_AT_COMMIT, {})[name] = prepare


def writes(session: Session) -> bool:
    """Tell whether a session was begun to write: only such a one can lock rows."""
    return bool(session.info.get(_WRITE, True))


def _take_turns(connection: Connection) -> None:
    """Let one process at a time migrate, for this transaction; SQLite's write lock has done so by now."""
    if connection.dialect.name == "postgresql":
        # A long migration of another replica is waited for, however long a lock may take otherwise.
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})


def _parsed(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError as error:
        raise InvalidInput(f"the database URL cannot be used: {error}") from error
    except ValueError:
        # Its message quotes a piece of the URL, which may be a piece of the password.
        raise InvalidInput("the database URL cannot be used: its port is not a number") from None
    if backend not in ("sqlite", "postgresql"):
        raise InvalidInput(f"the database URL cannot be used: {backend} is neither sqlite nor postgresql")
    return parsed


def _shown(url: URL) -> str:
    """Return a URL without its password and its query, in which drivers take passwords too."""
    return url.set(query={}).render_as_string(hide_password=True)
