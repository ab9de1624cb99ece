"""Databases of tests in files get today's schema from a copy: what the migrations made of an empty one, once.

The migrations have tests of their own. A database with tables in it, and every PostgreSQL, is migrated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection

from respawn_jobs.store import migrating
from respawn_jobs.store.migrating import Migration
from respawn_jobs.store.schema import OURS, KnownSchema

_OWN = "name NOT LIKE 'sqlite_%' AND sql IS NOT NULL"


class _Copy:
    """The statements that make the schema, and the rows that migrations put into it."""

    def __init__(self, connection: Connection) -> None:
        every = connection.exec_driver_sql(f"SELECT type, name, sql FROM sqlite_master WHERE {_OWN}").all()
        self._statements = [row.sql for row in sorted(every, key=lambda row: row.type != "table")]
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        for name in (row.name for row in every if row.type == "table"):
            rows = [tuple(row) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"')]
            if rows:
                self._rows[name] = rows

    def put_into(self, connection: Connection) -> None:
        """Make it in a database without tables."""
        for statement in self._statements:
            connection.exec_driver_sql(statement)
        for name, rows in self._rows.items():
            places = ", ".join("?" * len(rows[0]))
            connection.exec_driver_sql(f'INSERT INTO "{name}" VALUES ({places})', rows)


@pytest.fixture(scope="session", autouse=True)
def schema_once() -> Iterator[None]:
    """Let the migrations run once for all empty databases in files that this process makes."""
    apply_missing = migrating.apply_missing
    made: list[_Copy] = []

    def copied(connection: Connection, known: KnownSchema, target: str, url: str) -> list[Migration]:
        copies = known == OURS and target == OURS.needed and connection.dialect.name == "sqlite"
        if copies and made and not _has_tables(connection):
            made[0].put_into(connection)
            return []
        empty = copies and not _has_tables(connection)
        applied = apply_missing(connection, known, target, url)
        if empty:
            made.append(_Copy(connection))
        return applied

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrating, "apply_missing", copied)
        yield


def _has_tables(connection: Connection) -> bool:
    return connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").first() is not None
