"""Rows without owners: what refers to a row that is not there, in a database that was damaged or repaired.

Foreign keys are kept by the database itself as long as nobody works around it; other references by us alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, Table, and_, exists, select, text
from sqlalchemy.orm import Session, aliased

from respawn_jobs.store.columns import Base
from respawn_jobs.store.service_tables import RunOutboxRow
from respawn_jobs.store.tables import (
    ArtifactBlobRow,
    ArtifactRow,
    AttemptRow,
    BlobRow,
    CellRow,
    CheckpointBlobRow,
    CheckpointRow,
    JobRow,
    NamespaceBlobRow,
    RunRow,
    VersionRow,
)

DATABASE = "the database"
_MAX = 100
"""Rows of one kind that are reported one by one."""


def orphaned_rows(session: Session) -> Iterator[tuple[str, str]]:
    """Yield (row, what is wrong with it), and what SQLite itself says of its file."""
    if session.get_bind().dialect.name == "sqlite":
        for line in session.execute(text(f"PRAGMA integrity_check({_MAX})")).scalars():
            if line != "ok":
                yield DATABASE, f"SQLite says of its file: {line}"
    for table in Base.metadata.sorted_tables:
        yield from _without_parents(session, table)
    for words, query in _ours():
        rows = session.execute(query.limit(_MAX + 1)).all()
        yield from _listed([tuple(row) for row in rows], words)


def _without_parents(session: Session, table: Table) -> Iterator[tuple[str, str]]:
    for reference in table.foreign_keys:
        parent, column = reference.column.table.alias(), reference.parent
        lacking = column.is_not(None) & ~exists().where(parent.c[reference.column.name] == column)
        query = select(*table.primary_key.columns).where(lacking).limit(_MAX + 1)
        rows = session.execute(query).all()
        yield from _listed(
            [tuple(row) for row in rows],
            f"row {{row}} of {table.name}: its {reference.column.table.name} row is gone",
        )


def _listed(rows: list[tuple[Any, ...]], words: str) -> Iterator[tuple[str, str]]:
    for row in rows[:_MAX]:
        key = "/".join(map(str, row))
        yield key, words.format(row=key)
    if len(rows) > _MAX:
        yield "…", words.format(row="…") + f"; so are more than {_MAX}"


def _ours() -> Iterator[tuple[str, Select[*tuple[Any, ...]]]]:
    """Yield what to say of a row, and the query that finds such rows by their keys."""
    attempt, version = aliased(AttemptRow), aliased(VersionRow)
    yield (
        "{row}: the attempt that acts for it is gone",
        select(RunRow.id).where(RunRow.current.is_not(None), ~exists().where(attempt.id == RunRow.current)),
    )
    yield (
        "{row}: its newest version is gone",
        select(JobRow.id).where(
            JobRow.version > 0,
            ~exists().where(and_(version.job_id == JobRow.id, version.number == JobRow.version)),
        ),
    )
    for table, what in ((CellRow, "cells"), (CheckpointRow, "checkpoints")):
        of_attempt = and_(attempt.run_id == table.run_id, attempt.number == table.attempt)
        yield (
            f"{what} of {{row}}: their attempt is gone",
            select(table.run_id, table.attempt)
            .where(table.attempt > 0, ~exists().where(of_attempt))
            .distinct(),
        )
    indexed = and_(
        CheckpointBlobRow.run_id == CheckpointRow.run_id, CheckpointBlobRow.digest == CheckpointRow.manifest
    )
    yield (
        "checkpoint {row}: the collector does not know that it names its manifest",
        select(CheckpointRow.run_id, CheckpointRow.attempt, CheckpointRow.cell).where(
            ~exists().where(indexed)
        ),
    )
    kept = and_(
        ArtifactRow.run_id == ArtifactBlobRow.run_id,
        ArtifactRow.name == ArtifactBlobRow.name,
        ArtifactRow.number == ArtifactBlobRow.number,
    )
    yield (
        "part {row}: its artifact is gone",
        select(ArtifactBlobRow.digest, ArtifactBlobRow.run_id).where(~exists().where(kept)),
    )
    yield (
        "{row}: a loop is to act on its end, and it is gone",
        select(RunOutboxRow.run_id, RunOutboxRow.consumer).where(
            ~exists().where(RunRow.id == RunOutboxRow.run_id)
        ),
    )
    yield (
        "{row}: the namespace holds a blob that is not in the registry",
        select(NamespaceBlobRow.namespace, NamespaceBlobRow.digest).where(
            ~exists().where(BlobRow.digest == NamespaceBlobRow.digest)
        ),
    )
