"""Where records name blobs. A blob that none of these names is removed by the collector."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from heapq import merge

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from respawn_jobs.ledger.blobs.registry import batches
from respawn_jobs.store.tables import (
    ArtifactBlobRow,
    AttemptRow,
    CellRow,
    CheckpointBlobRow,
    RunRow,
    VersionRow,
)

_Column = InstrumentedAttribute[str] | InstrumentedAttribute[str | None]
_NAMES: tuple[
    tuple[_Column, str, tuple[InstrumentedAttribute[str] | InstrumentedAttribute[int], ...]], ...
] = (
    (VersionRow.notebook, "the notebook of version {1} of {0}", (VersionRow.job_id, VersionRow.number)),
    (VersionRow.bundle, "the files of version {1} of {0}", (VersionRow.job_id, VersionRow.number)),
    (RunRow.notebook, "the executed notebook of {0}", (RunRow.id,)),
    (RunRow.skeleton, "the notebook that {0} executes", (RunRow.id,)),
    (AttemptRow.notebook, "the notebook of attempt {1} of {0}", (AttemptRow.run_id, AttemptRow.number)),
    (
        CellRow.outputs,
        "the outputs of cell {2} of {0}, attempt {1}",
        (CellRow.run_id, CellRow.attempt, CellRow.index),
    ),
    (CheckpointBlobRow.digest, "the checkpoints of {0}", (CheckpointBlobRow.run_id,)),
    (
        ArtifactBlobRow.digest,
        "artifact {1} of {0}, save {2}",
        (ArtifactBlobRow.run_id, ArtifactBlobRow.name, ArtifactBlobRow.number),
    ),
)
"""What `runs.resume` and `runs.retry` name is among the run's cells and `checkpoint_blobs`."""


def named(session: Session, digests: Collection[str]) -> set[str]:
    """Return those of the digests that a record names."""
    found: set[str] = set()
    for part in batches(digests):
        for column, _, _ in _NAMES:
            found.update(
                digest for digest in session.scalars(select(column).where(column.in_(part))) if digest
            )
    return found


def page(session: Session, after: str, most: int) -> list[str]:
    """Return the next digests that records name, in their order, each once; fewer than `most` at the end.

    This is keyset pagination: each column is read from its index, from `after` on.

    Args:
        session: reads the records.
        after: the last digest of the page before; empty for the first page.
        most: the most digests.
    """
    found = [
        [
            digest
            for digest in session.scalars(
                select(column).where(column > after).distinct().order_by(column).limit(most)
            )
            if digest is not None
        ]
        for column, _, _ in _NAMES
    ]
    return list(dict.fromkeys(merge(*found)))[:most]


def all_named(session: Session, most: int = 500) -> Iterator[list[str]]:
    """Yield every digest that the session's transaction sees named, in pages."""
    last = ""
    while digests := page(session, last, most):
        yield digests
        last = digests[-1]


def names_of(session: Session, digest: str) -> str:
    """Return in words what names a blob: the first of each kind."""
    found = [
        words.format(*row)
        for column, words, keys in _NAMES
        if (row := session.execute(select(*keys).where(column == digest).limit(1)).first()) is not None
    ]
    return ", ".join(found) or "nothing names it"
