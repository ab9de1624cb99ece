"""Databases of tests in files get today's schema from a copy: what the migrations made of an empty one, once.

The migrations have tests of their own. A database with tables in it, and every PostgreSQL, is migrated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection

from respawn_jobs.store.database import Database

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
    migrate = Database._migrate
    made: list[_Copy] = []

    def copied(self: Database, connection: Connection) -> None:
        if connection.dialect.name != "sqlite" or _has_tables(connection):
            migrate(self, connection)
        elif made:
            made[0].put_into(connection)
        else:
            migrate(self, connection)
            made.append(_Copy(connection))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "_migrate", copied)
        yield


def _has_tables(connection: Connection) -> bool:
    return connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").first() is not None
