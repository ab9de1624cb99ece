"""Versions know their file, and jobs what that file held; jobs may be archived and renamed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from respawn_jobs.store.columns import Utc

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("versions", sa.Column("source", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("filed", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("numbered", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("archived_at", Utc(), nullable=True))
    op.add_column("jobs", sa.Column("archived_by", sa.String(255), nullable=True))
    op.create_table(
        "former_names",
        sa.Column("namespace", sa.String(255), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_former_names_job_id_jobs"),
        sa.PrimaryKeyConstraint("namespace", "name", name="pk_former_names"),
    )
    op.create_index("ix_former_names_job_id", "former_names", ["job_id"])
