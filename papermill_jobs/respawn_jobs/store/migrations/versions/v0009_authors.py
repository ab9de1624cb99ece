"""Each run says whose code has made its state, each version whose code it holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_RUNS = sa.table(
    "runs",
    sa.column("id", sa.String),
    sa.column("origin", sa.String),
    sa.column("version_id", sa.String),
    sa.column("imported", sa.JSON(none_as_null=True)),
    sa.column("created_by", sa.String),
    sa.column("authors", sa.JSON(none_as_null=True)),
)
_VERSIONS = sa.table("versions", sa.column("id", sa.String), sa.column("authors", sa.JSON(none_as_null=True)))


def upgrade() -> None:
    op.add_column("versions", sa.Column("authors", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("runs", sa.Column("authors", sa.JSON(none_as_null=True), nullable=True))
    # Of all other runs so far the creators of run and version are the authors.
    bind = op.get_bind()
    imported = sa.select(_RUNS.c.id, _RUNS.c.version_id, _RUNS.c.imported)
    for run, version, origin in bind.execute(imported.where(_RUNS.c.imported.is_not(None))).all():
        if not origin:  # JSON's own null
            continue
        authors = [f"archive of {origin['run']}, exported by {origin['exported_by']}"[:255]]
        _mark(bind, run, authors)
        bind.execute(sa.update(_VERSIONS).where(_VERSIONS.c.id == version).values(authors=authors))


def _mark(bind: sa.Connection, run: str, authors: list[str]) -> None:
    """Write a run's authors, and those of the runs that go on from it."""
    left = [(run, authors)]
    while left:
        one, known = left.pop()
        bind.execute(sa.update(_RUNS).where(_RUNS.c.id == one).values(authors=known))
        later = bind.execute(sa.select(_RUNS.c.id, _RUNS.c.created_by).where(_RUNS.c.origin == one))
        left += [(row.id, list(dict.fromkeys([*known, row.created_by]))) for row in later]
