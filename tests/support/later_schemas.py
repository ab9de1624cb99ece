"""The schemas of releases to come: migrations that only tests know, after those of the code."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from respawn_jobs.store.schema import OURS, KnownSchema

EXPANSION = """
def upgrade() -> None:
    op.add_column("jobs", sa.Column("colour", sa.String(16), nullable=False, server_default="red"))
    op.create_table(
        "paints",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("paints")
    op.drop_column("jobs", "colour")
"""
"""What release 0.2 might bring: a column and a table."""
COLUMN = """
def upgrade() -> None:
    op.add_column("runs", sa.Column("colours", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "colours")
"""
INDEX = """
def upgrade() -> None:
    create_large_index("runs_of_hash", "runs", ["id", "state"])


def downgrade() -> None:
    op.drop_index("runs_of_hash", "runs")
"""
CONTRACTION = """
def upgrade() -> None:
    op.drop_table("former_names")


def downgrade() -> None:
    op.create_table(
        "former_names",
        sa.Column("namespace", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), nullable=False, index=True),
    )
"""
"""It takes a table away that release 0.1 uses."""


def script(number: int, body: str, *, release: str, kind: str = "expand", oldest: str = "0.1") -> str:
    """Return the text of a migration."""
    return f'''"""A migration of a test."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from respawn_jobs.store.large_indexes import create_large_index

revision = "{number:04}"
down_revision = "{number - 1:04}"
kind = "{kind}"
release = "{release}"
oldest = "{oldest}"

{body}'''


def later(directory: Path, scripts: Sequence[str], *, release: str, needed: int | None = None) -> KnownSchema:
    """Return the schema of a later release.

    Args:
        directory: where its migrations are written; one that is not there yet.
        scripts: its migrations after those of the code, numbered from the next one on.
        release: what it calls itself.
        needed: the number of its newest expansion; by default that of its last migration.
    """
    shutil.copytree(OURS.scripts, directory, ignore=shutil.ignore_patterns("__pycache__"))
    first = int(OURS.head) + 1
    for number, text in enumerate(scripts, first):
        (directory / "versions" / f"v{number:04}_next.py").write_text(text)
    head = first + len(scripts) - 1
    return KnownSchema(release, f"{needed or head:04}", f"{head:04}", directory)


def release_0_2(directory: Path) -> KnownSchema:
    """Return a schema that this code can go on with."""
    number = int(OURS.head) + 1
    scripts = [script(number, EXPANSION, release="0.2"), script(number + 1, COLUMN, release="0.2")]
    return later(directory, scripts, release="0.2")


def release_0_3(directory: Path) -> KnownSchema:
    """Return a schema with a contraction, which it brings and does not need yet."""
    number = int(OURS.head) + 1
    scripts = [
        script(number, EXPANSION, release="0.2"),
        script(number + 1, CONTRACTION, release="0.3", kind="contract", oldest="0.3"),
    ]
    return later(directory, scripts, release="0.3", needed=number)
