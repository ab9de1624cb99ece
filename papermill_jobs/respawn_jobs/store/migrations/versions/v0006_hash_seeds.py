"""Each attempt holds the seed by which its kernel hashed texts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of what ran so far it is not known: kernels chose their seeds themselves.
    op.add_column("attempts", sa.Column("hash_seed", sa.String(length=16), nullable=True))
