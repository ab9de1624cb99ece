"""Alembic's entry: runs the scripts on the connection that `Database.prepare` hands over."""

from __future__ import annotations

from alembic import context

from respawn_jobs.store.columns import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
