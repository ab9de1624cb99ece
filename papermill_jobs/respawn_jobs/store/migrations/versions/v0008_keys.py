"""Audit records are signed, webhooks know their key, and backups keep blobs from being removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from respawn_jobs.store.columns import Utc

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Records so far stay unsigned: the first signed one covers them all by its hash.
    op.add_column("audit", sa.Column("key", sa.String(16), nullable=True))
    op.add_column("audit", sa.Column("mac", sa.String(64), nullable=True))
    op.add_column("hooks", sa.Column("key", sa.String(16), nullable=True))
    op.create_table(
        "backups",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("started_at", Utc(), nullable=False),
        sa.Column("until", Utc(), nullable=False),
    )
