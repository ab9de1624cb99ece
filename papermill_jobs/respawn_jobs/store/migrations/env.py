"""Alembic's entry: runs the scripts on the connection that `store.migrating` hands over.

Each migration that is applied leaves a row, by which code that does not know it can decide.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy import Connection, delete, insert

from respawn_jobs.clock import utc_now
from respawn_jobs.store.columns import Base
from respawn_jobs.store.service_tables import SchemaVersionRow


def _note(
    ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: Mapping[str, Any]
) -> None:
    """Keep what a migration states of itself, in its transaction."""
    connection: Connection | None = ctx.connection
    script: Any = step.up_revision
    if connection is None or script is None:
        raise RuntimeError("a migration was applied without a database, or was a stamp")
    if not step.is_upgrade:
        connection.execute(delete(SchemaVersionRow).where(SchemaVersionRow.revision == script.revision))
        return
    stated = {name: getattr(script.module, name) for name in ("kind", "release", "oldest")}
    connection.execute(
        insert(SchemaVersionRow).values(revision=script.revision, applied_at=utc_now(), **stated)
    )


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    on_version_apply=_note,
)
with context.begin_transaction():
    context.run_migrations()
