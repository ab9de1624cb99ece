"""Each cell record holds what was seen of the cell while it ran."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of what ran so far nothing was seen: plans then rest on the analysis alone, and say so.
    op.add_column("cells", sa.Column("evidence", sa.JSON(none_as_null=True), nullable=True))
