"""The state of a store, to tell whether a request changed it, and to go back to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Stored:
    """A store in files: its database and its blobs."""

    def __init__(self, data: Path, connection: sqlite3.Connection) -> None:
        self._data = data
        self._connection = connection
        self._first = sqlite3.connect(":memory:")
        connection.backup(self._first)
        self._seen = self._version()

    def changed(self) -> bool:
        """Tell whether anything was committed since the last look, by whomever, as SQLite counts it."""
        before, self._seen = self._seen, self._version()
        return self._seen != before

    def files(self) -> set[Path]:
        """Return the files of the data directory other than the database's."""
        return {path for path in self._data.rglob("*") if path.is_file() and "respawn.db" not in path.name}

    def go_back(self) -> None:
        """Make the database again what it was at first; blobs stay."""
        self._first.backup(self._connection)
        self._seen = self._version()

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])


@contextmanager
def stored(data: Path) -> Iterator[Stored]:
    """Remember a store as it is now."""
    connection = sqlite3.connect(data / "respawn.db", timeout=30, check_same_thread=False)
    try:
        yield Stored(data, connection)
    finally:
        connection.close()
