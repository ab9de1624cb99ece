"""What a step back of the schema would lose: found by taking it, looking at what is gone, and undoing it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    Connection,
    Text,
    cast,
    column,
    func,
    inspect,
    literal_column,
    null,
    select,
    table,
    text,
)

from respawn_kernels.counting import how_many

_Columns = dict[str, str | None]
"""Columns of a table, each with its default as SQL."""


def data_lost(connection: Connection, step: Callable[[], None]) -> list[str]:
    """Return in words what rows and values a step would lose; nothing is changed.

    A value that its column has by default counts for nothing. On PostgreSQL nobody uses the tables
    that lose something, from here to the end of the transaction.

    Args:
        connection: in a transaction.
        step: changes the schema by this connection.
    """
    before = _tables(connection)
    with connection.begin_nested() as savepoint:
        step()
        after = _tables(connection)
        savepoint.rollback()
    lost: list[str] = []
    for of, columns in before.items():
        gone = {name: default for name, default in columns.items() if name not in after.get(of, {})}
        if gone:
            _lock(connection, of)
        if of not in after:
            lost += _lost_rows(connection, of)
            continue
        for name, default in gone.items():
            lost += _lost_values(connection, of, name, default)
    return lost


def _tables(connection: Connection) -> dict[str, _Columns]:
    found = inspect(connection)
    return {
        name: {one["name"]: one["default"] for one in found.get_columns(name)}
        for name in sorted(found.get_table_names())
    }


def _lost_rows(connection: Connection, name: str) -> list[str]:
    count = connection.scalar(select(func.count()).select_from(table(name))) or 0
    return [f"table {name} has {how_many(count, 'record')}"] if count else []


def _lost_values(connection: Connection, of: str, name: str, default: str | None) -> list[str]:
    # As text: PostgreSQL compares no values of type json.
    value = cast(column(name), Text)
    usual = null() if default is None else cast(literal_column(default), Text)
    changed = select(func.count()).select_from(table(of)).where(value.is_distinct_from(usual))
    count = connection.scalar(changed) or 0
    return [f"column {of}.{name} has values in {how_many(count, 'record')}"] if count else []


def _lock(connection: Connection, name: str) -> None:
    # At once the lock that the step takes: a weaker one first, and a writer that waits for it, is a deadlock.
    if connection.dialect.name == "postgresql":
        quoted = connection.dialect.identifier_preparer.quote(name)
        connection.execute(text(f"LOCK TABLE {quoted} IN ACCESS EXCLUSIVE MODE"))
