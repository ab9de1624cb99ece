"""The state of a store, to tell whether a request changed it, and to go back to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

_FIRST = "first_state"


class Records(Protocol):
    """A database that was remembered as it is."""

    def seen(self) -> Any:
        """Return what is another value once anything is changed."""

    def go_back(self) -> None:
        """Make it again what it was at first."""


class Stored:
    """A store: its database, and the files of its data directory."""

    def __init__(self, data: Path, records: Records) -> None:
        self._data = data
        self._records = records
        self._beside = {path: path.read_bytes() for path in data.iterdir() if _beside(path)}
        self._seen = records.seen()

    def changed(self) -> bool:
        """Return whether anything was committed since the last look, by whomever."""
        before, self._seen = self._seen, self._records.seen()
        return bool(self._seen != before)

    def files(self) -> set[Path]:
        """Return the files of the data directory other than the database's."""
        # `Path.rglob` takes ten times as long, and each test of a route looks twice.
        found = [(Path(folder), name) for folder, _, names in os.walk(self._data) for name in names]
        return {folder / name for folder, name in found if not _of_database(name)}

    def go_back(self) -> None:
        """Make the database, and the end of its audit trail, again what they were at first; blobs stay."""
        for path, content in self._beside.items():
            path.write_bytes(content)
        self._records.go_back()
        self._seen = self._records.seen()


class SQLite:
    """A file of SQLite, which counts every commit itself."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._first = sqlite3.connect(":memory:")
        connection.backup(self._first)

    def seen(self) -> int:
        """Return how often it was changed."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def go_back(self) -> None:
        """Copy the whole file back."""
        self._first.backup(self._connection)


class PostgreSQL:
    """A database of PostgreSQL, described by the content of all its tables."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        found = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        ).fetchall()
        self._tables = [sql.Identifier(name) for (name,) in found]
        digest = sql.SQL("SELECT md5(string_agg(one::text, '|' ORDER BY one::text)) FROM public.{} AS one")
        self._query = sql.SQL(" UNION ALL ").join(digest.format(table) for table in self._tables)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(_FIRST)))
        for table in self._tables:
            copy = sql.SQL("CREATE TABLE {}.{} AS TABLE public.{}")
            connection.execute(copy.format(sql.Identifier(_FIRST), table, table))
        self._first = self.seen()

    def seen(self) -> list[Any]:
        """Return a digest of each table."""
        return [digest for (digest,) in self._connection.execute(self._query)]

    def go_back(self) -> None:
        """Fill those tables anew that have changed."""
        pairs = zip(self._tables, self._first, self.seen(), strict=True)
        changed = [table for table, first, now in pairs if first != now]
        fill = sql.SQL("INSERT INTO public.{} OVERRIDING SYSTEM VALUE SELECT * FROM {}.{}")
        with self._connection.transaction():
            self._connection.execute("SET LOCAL session_replication_role = replica")
            for table in changed:
                self._connection.execute(sql.SQL("DELETE FROM public.{}").format(table))
                self._connection.execute(fill.format(table, sql.Identifier(_FIRST), table))


def _beside(path: Path) -> bool:
    return path.is_file() and not _of_database(path.name)


def _of_database(name: str) -> bool:
    return name.startswith("respawn.db")


@contextmanager
def stored(data: Path, db_url: str | None = None) -> Iterator[Stored]:
    """Remember a store as it is now."""
    if db_url is not None:
        with psycopg.connect(db_url.replace("+psycopg", ""), autocommit=True) as connection:
            yield Stored(data, PostgreSQL(connection))
        return
    file = sqlite3.connect(data / "respawn.db", timeout=30, check_same_thread=False)
    try:
        yield Stored(data, SQLite(file))
    finally:
        file.close()
