"""One process at a time changes a schema, and waits behind nobody for long while it does.

On PostgreSQL it holds an advisory lock. Those who wait for it ask again and again: a statement that waits has
a snapshot, and `CREATE INDEX CONCURRENTLY` would wait for that in turn. A change that needs a table's lock
gives up after half a second and is tried again: what waits for such a lock keeps all others from the table.
It holds one table alone that others use (a rule for migrations), so it is in no deadlock with them.
On SQLite the whole turn is one transaction.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from respawn_jobs.errors import Conflict, Unavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")

LOCK_TIMEOUT = "500ms"
"""How long a change waits for a table, and all others behind it: less than `deadlock_timeout`."""
LOCK_SECONDS = 120.0
"""For how long it is tried again."""
_PAUSE, _MAX_PAUSE = 0.5, 5.0
_TURN_PAUSE = 0.2
_LOCKED = ("55P03", "40P01")
_ADVISORY_KEY = 0x7265737061776E  # "respawn"
_MIGRATING = threading.Lock()
"""Alembic keeps the migration that runs in module globals, so only one may run in a process."""


@contextmanager
def migration_turn(engine: Engine, url: str) -> Iterator[Connection]:
    """Give a connection to the one that may change the schema now, after all who came before.

    On SQLite it is in a transaction, which is committed at the end; on PostgreSQL in none.

    Args:
        engine: begins transactions that write.
        url: the database in messages.
    """
    turn = _sqlite_turn if engine.dialect.name == "sqlite" else _postgresql_turn
    with _MIGRATING, engine.connect() as connection, turn(connection, url):
        yield connection


def transaction(connection: Connection) -> AbstractContextManager[Any]:
    """Return a transaction within a turn; on SQLite the turn is one."""
    return nullcontext() if connection.dialect.name == "sqlite" else connection.begin()


def until_unlocked(change: Callable[[], T], *, what: str, url: str) -> T:
    """Make a change, again and again while others lock what it needs.

    Args:
        change: begins and ends its own transaction.
        what: the change in messages.
        url: the database in messages.

    Raises:
        Unavailable: others had it locked all the time.
    """
    give_up, pause = time.monotonic() + LOCK_SECONDS, _PAUSE
    while True:
        try:
            return change()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _LOCKED:
                raise
            if time.monotonic() >= give_up:
                raise Unavailable(
                    f"{what} of the database {url} needs a table that a long transaction holds; look for it "
                    "in pg_stat_activity, end it, and try again",
                    database=url,
                ) from error
            logger.info("%s of the database %s waits for a long transaction of others", what, url)
        time.sleep(pause)
        pause = min(pause * 2, _MAX_PAUSE)


@contextmanager
def _sqlite_turn(connection: Connection, url: str) -> Iterator[None]:
    # Between transactions alone: a table that is made anew must not take the rows that refer to it along.
    _pragma(connection, "foreign_keys=OFF")
    try:
        with connection.begin():
            yield
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise Conflict(
                    f"a row of {broken[0]} in the database {url} would refer to none of {broken[2]}"
                )
    finally:
        _pragma(connection, "foreign_keys=ON")


def _pragma(connection: Connection, pragma: str) -> None:
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA {pragma}")


@contextmanager
def _postgresql_turn(connection: Connection, url: str) -> Iterator[None]:
    waits = False
    while not _locked(connection):
        if not waits:
            logger.info("the database %s is migrated by another process: this one waits", url)
        waits = True
        time.sleep(_TURN_PAUSE)
    try:
        with connection.begin():
            connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        yield
    finally:
        with suppress(DBAPIError):  # a lost connection has lost its lock
            connection.rollback()
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_KEY})
        connection.invalidate()  # its settings are for nobody else


def _locked(connection: Connection) -> bool:
    with connection.begin():
        return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_KEY}))
