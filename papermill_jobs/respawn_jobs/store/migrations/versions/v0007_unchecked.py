"""Each checkpoint says which of its variables nobody compared with what they were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of checkpoints so far the manifests alone say it.
    op.add_column("checkpoints", sa.Column("unchecked", sa.JSON(none_as_null=True), nullable=True))
