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
        self._beside = {path: path.read_bytes() for path in data.iterdir() if _beside(path)}
        self._seen = self._version()

    def changed(self) -> bool:
        """Tell whether anything was committed since the last look, by whomever, as SQLite counts it."""
        before, self._seen = self._seen, self._version()
        return self._seen != before

    def files(self) -> set[Path]:
        """Return the files of the data directory other than the database's."""
        return {path for path in self._data.rglob("*") if _beside(path)}

    def go_back(self) -> None:
        """Make the database, and the end of its audit trail, again what they were at first; blobs stay."""
        for path, content in self._beside.items():
            path.write_bytes(content)
        self._first.backup(self._connection)
        self._seen = self._version()

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])


def _beside(path: Path) -> bool:
    return path.is_file() and not _of_database(path)


def _of_database(path: Path) -> bool:
    return path.name.startswith("respawn.db")


@contextmanager
def stored(data: Path) -> Iterator[Stored]:
    """Remember a store as it is now."""
    connection = sqlite3.connect(data / "respawn.db", timeout=30, check_same_thread=False)
    try:
        yield Stored(data, connection)
    finally:
        connection.close()
