"""Namespaces know whose they are by the hub's identity of their owner, and can be suspended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from respawn_jobs.store.columns import Utc

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Namespaces so far have no row: the service ties each to who has its name when it first asks the hub.
    op.create_table(
        "namespaces",
        sa.Column("namespace", sa.String(255), primary_key=True),
        sa.Column("identity", sa.String(64), nullable=True, index=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("since", Utc(), nullable=True),
        sa.Column("former", sa.String(255), nullable=True),
        sa.Column("audit_from", sa.BigInteger(), nullable=False),
    )
