"""A database: its engine, its transactions, and its schema brought up to date.

SQLite runs in WAL mode, and a transaction that is going to write takes its lock at the start (BEGIN
IMMEDIATE), so two writers queue up instead of failing half-way. With `synchronous=NORMAL` a killed process
loses nothing; a power cut may take back the last commits, each as a whole.

On PostgreSQL a transaction that reads sees one moment, as it does on SQLite, and may not write; one that
writes sees what others committed before each statement, and locks the rows that it rests on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, Engine, create_engine, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session

from respawn_jobs.errors import Conflict, InvalidInput, Unavailable
from respawn_jobs.host.write_probe import prove_room
from respawn_jobs.store import migrating, postgresql, sqlite
from respawn_jobs.store.failures import translated
from respawn_jobs.store.migrating import Migration
from respawn_jobs.store.schema import OURS, AppliedMigration, KnownSchema, SchemaStanding, standing_of
from respawn_jobs.store.service_tables import SchemaVersionRow

logger = logging.getLogger(__name__)
_POOL_SECONDS = 10
_WRITE = "write"
_AT_COMMIT = "at_commit"


class Database:
    """One database behind one SQLAlchemy URL; safe to share between threads."""

    def __init__(self, url: str | URL, *, schema: KnownSchema = OURS, migrates: bool = True) -> None:
        """Open a database; nothing is connected yet. The directory of a SQLite file is made.

        Args:
            url: which one.
            schema: the migrations that the code knows.
            migrates: whether `prepare` applies those that are missing.

        Raises:
            InvalidInput: the URL cannot be used.
        """
        self.schema = schema
        self._migrates = migrates
        self._message = ""
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
        """Bring the schema to what this code needs, where it is older.

        Raises:
            Conflict: it is newer than this code can use; or it is older, and may not be migrated now.
        """
        with translated(self.url):
            standing = self._standing()
            if standing.older:
                if not self._migrates:
                    raise Conflict(
                        f"the database {self.url} has {_named(standing.revision)}, this version needs "
                        f"{self.schema.needed}, and RESPAWN_MIGRATE_ON_START is off: run "
                        "respawn admin migrate",
                        database=self.url,
                    )
                self.migrate(self.schema.needed)
                standing = self._standing()
            self._note(standing)
            if not standing.usable:
                raise Conflict(
                    f"the database {self.url} cannot be used: {standing.message}", database=self.url
                )
        if self._waiting:
            self._waiting = False
            logger.warning("the database %s answers", self.url)

    def prepare_when_it_answers(self) -> None:
        """Bring the schema to what this code needs now, or before the first transaction that it answers.

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
        except DBAPIError as error:
            if _lacks_table(error):
                return None
            raise

    def standing(self) -> SchemaStanding:
        """Ask how the schema stands to this code, which another replica may have changed since `prepare`.

        Logs what is new about it. Raises `Unavailable`.
        """
        with translated(self.url):
            standing = self._standing()
        self._note(standing)
        return standing

    def migrate(self, target: str) -> list[Migration]:
        """Apply the migrations up to `target`, and return them. Raises as `migrating.upgrade`."""
        with translated(self.url):
            return migrating.upgrade(self._writer, self.schema, target, self.url)

    def step_back(self, target: str, *, dry_run: bool = False) -> list[Migration]:
        """Take the migrations after `target` back, and return them. Raises as `migrating.step_back`."""
        with translated(self.url):
            return migrating.step_back(self._writer, self.schema, target, self.url, dry_run=dry_run)

    def _standing(self) -> SchemaStanding:
        revision = self.revision()
        unknown: list[AppliedMigration] = []
        if revision is not None and revision > self.schema.head:
            unknown = self._unknown()
        return standing_of(self.schema, revision, unknown)

    def _unknown(self) -> list[AppliedMigration]:
        """Return what the database says of migrations after ours, oldest first."""
        row = SchemaVersionRow
        query = select(row.revision, row.kind, row.release, row.oldest).order_by(row.revision)
        try:
            with self._reader.connect() as connection:
                rows = connection.execute(query.where(row.revision > self.schema.head)).all()
        except DBAPIError as error:
            if _lacks_table(error):
                return []
            raise
        return [AppliedMigration(*one) for one in rows]

    def _note(self, standing: SchemaStanding) -> None:
        """Log what a newer version did to the database, once."""
        if standing.message != self._message and not standing.older:
            level = logging.WARNING if standing.usable else logging.ERROR
            logger.log(level, "the database %s: %s", self.url, standing.message or "is of this version again")
            self._message = standing.message


def revision_in(session: Session) -> str:
    """Return the revision of the schema, as a transaction sees it."""
    revision: str = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    return revision


def newer_in(session: Session, schema: KnownSchema) -> bool:
    """Tell whether a newer version has changed the database, as a transaction sees it."""
    return revision_in(session) > schema.head


def _lacks_table(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state == postgresql.NO_SUCH_TABLE if state else "no such table" in str(error.orig)


def _named(revision: str | None) -> str:
    return "no tables" if revision is None else f"schema {revision}"


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
    """Return whether a session was begun to write: only such a one can lock rows."""
    return bool(session.info.get(_WRITE, True))


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
