"""What is particular to SQLite: its write-ahead log, and where its transactions begin."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, event

from respawn_jobs.errors import InvalidInput, Unavailable

_BUSY_MILLISECONDS = 30_000
_WAL_PAUSE_SECONDS = 0.01
_WRITES = "respawn_writes"

ENGINE: dict[str, Any] = {"pool_size": 10, "max_overflow": 50}
"""More connections than a web server has threads: they are files, and cost nothing."""
READS: dict[str, Any] = {}
WRITES: dict[str, Any] = {_WRITES: True}


def completed(url: URL) -> URL:
    """Return the URL, once the file's directory is there.

    Raises `InvalidInput` when it names no file, `Unavailable` when the directory cannot be made.
    """
    if not url.database or url.database == ":memory:":
        raise InvalidInput("an in-memory database is gone when its connection closes; name a file")
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"the directory of the database {url.database} cannot be made: {error}") from error
    return url


def listen(engine: Engine) -> None:
    """Set up each connection, and begin transactions in place of the driver."""
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions: _begin does
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


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
