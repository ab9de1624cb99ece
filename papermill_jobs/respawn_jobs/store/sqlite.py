"""What is particular to SQLite: its write-ahead log, and where its transactions begin."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, event

from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.host.private_files import new_private_file, private_file

_BUSY_MILLISECONDS = 30_000
_WAL_PAUSE_SECONDS = 0.01
_WRITES = "respawn_writes"
_BESIDE = ("-wal", "-shm", "-journal")

ENGINE: dict[str, Any] = {"pool_size": 10, "max_overflow": 50}
"""More connections than a web server has threads: they are files, and cost nothing."""
READS: dict[str, Any] = {}
WRITES: dict[str, Any] = {_WRITES: True}


def completed(url: URL) -> URL:
    """Return the URL, once the file is there, in its directory, and closed to other accounts.

    Raises `InvalidInput` when it names no file, or one that stays open to others; `Unavailable` when the
    directory or the file cannot be made.
    """
    if not url.database or url.database == ":memory:":
        raise InvalidInput("an in-memory database is gone when its connection closes; name a file")
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unavailable(f"the directory of the database {url.database} cannot be made: {error}") from error
    try:
        new_private_file(path)
    except OSError as error:
        raise Unavailable(f"the database {url.database} cannot be made: {error}") from error
    # SQLite gives those beside it the mode that the database has when it makes them.
    for ending in _BESIDE:
        private_file(path.with_name(path.name + ending))
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
