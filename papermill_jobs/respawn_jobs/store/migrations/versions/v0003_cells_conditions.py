"""Each cell record says under which parameters and which lock it ran."""

import json

import sqlalchemy as sa
from alembic import op

from respawn_kernels.digest import digest_of

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cells", sa.Column("parameters_hash", sa.String(length=64), nullable=True))
    op.add_column("cells", sa.Column("lock", sa.String(length=128), nullable=True))
    _fill_in()


def _fill_in() -> None:
    """What ran so far, or was reused, did so under its run's own parameters and lock."""
    connection = op.get_bind()
    runs = sa.table("runs", sa.column("id"), sa.column("lock"), sa.column("parameters", sa.JSON))
    cells = sa.table(
        "cells", sa.column("run_id"), sa.column("state"), sa.column("lock"), sa.column("parameters_hash")
    )
    known = connection.execute(sa.select(runs.c.id, runs.c.lock, runs.c.parameters)).all()
    for run, lock, given in known:
        values = json.loads(given) if isinstance(given, str) else given
        connection.execute(
            cells.update()
            .where(cells.c.run_id == run, cells.c.state.not_in(["pending", "skipped"]))
            .values(lock=lock, parameters_hash=_hash(values or {}))
        )


def _hash(values: object) -> str:
    """As `respawn_jobs.parameters.parameters_hash` was when this was written."""
    return digest_of(json.dumps(values, sort_keys=True, ensure_ascii=False).encode(errors="replace"))
