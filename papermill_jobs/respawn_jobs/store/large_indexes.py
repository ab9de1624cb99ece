"""An index of a large table, built beside those who write into it: for migrations that do nothing else.

PostgreSQL builds it with `CREATE INDEX CONCURRENTLY`, in no transaction. One that was broken off leaves an
index that is not valid; the next try removes it first. SQLite builds it in the migration's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic import op
from sqlalchemy import Connection, text


def create_large_index(name: str, table: str, columns: Sequence[str], **options: Any) -> None:
    """Build an index.

    Args:
        name: its name.
        table: the table.
        columns: what it is over.
        options: further ones of `op.create_index`.
    """
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        op.create_index(name, table, list(columns), **options)
        return
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        # It waits for old transactions and keeps nobody waiting meanwhile, so it may take its time.
        (limit,) = connection.execute(text("SHOW lock_timeout")).one()
        connection.execute(text("SET lock_timeout = 0"))
        try:
            if _is_invalid(connection, name):
                op.drop_index(name, table_name=table, postgresql_concurrently=True)
            op.create_index(
                name, table, list(columns), postgresql_concurrently=True, if_not_exists=True, **options
            )
        finally:
            connection.execute(text(f"SET lock_timeout = '{limit}'"))


def _is_invalid(connection: Connection, name: str) -> bool:
    query = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(quote_ident(:name))")
    return connection.scalar(query, {"name": name}) is False
