"""Namespaces know how large the blobs are that they hold; of those stored before, nobody counts the size."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("namespace_blobs", sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("namespace_blobs_sizes", "namespace_blobs", ["namespace", "size"])
