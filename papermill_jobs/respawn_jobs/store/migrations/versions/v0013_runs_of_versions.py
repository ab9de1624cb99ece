"""Runs are found by their version: for its page, and where versions are removed."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("runs_of_version", "runs", ["version_id", "created_at"])
