"""Which blobs a namespace holds: those that its own runners put, and those that the ledger stored for it.

The store keeps equal bytes once for everybody, so a digest alone must open nothing: a runner may name only
what its namespace holds, and whether others have stored the same bytes is not told.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.ledger.context import Context
from respawn_jobs.store.tables import CheckpointBlobRow, NamespaceBlobRow

_AT_ONCE = 1000
"""Digests per query; databases limit how many values one may have."""


def store(context: Context, namespace: str, text: str) -> str:
    """Store a text for a namespace and return its digest."""
    digest = context.blobs.put_bytes(encoded(text))
    hold(context, namespace, digest)
    return digest


def encoded(text: str) -> bytes:
    """Return the bytes that are stored of a text. A lone surrogate, which has none, becomes `?`."""
    return text.encode(errors="replace")


def hold(context: Context, namespace: str, digest: str) -> None:
    """Note that a namespace holds a blob whose bytes it gave."""
    with context.database.session() as session:
        if held(session, namespace, [digest]):
            return
    try:
        with context.database.session(write=True) as session:
            session.add(NamespaceBlobRow(namespace=namespace, digest=digest))
    except IntegrityError:
        # Race: another runner of the namespace put the same bytes since the look above.
        return


def held(session: Session, namespace: str, digests: list[str]) -> set[str]:
    """Return those of the digests that a namespace holds."""
    found: set[str] = set()
    for start in range(0, len(digests), _AT_ONCE):
        query = select(NamespaceBlobRow.digest).where(
            NamespaceBlobRow.namespace == namespace,
            NamespaceBlobRow.digest.in_(digests[start : start + _AT_ONCE]),
        )
        found.update(session.scalars(query))
    return found


def name_in_checkpoints(session: Session, run_id: str, digests: set[str]) -> None:
    """Note that a run's checkpoints name these blobs. The caller has locked or just inserted the run."""
    wanted = sorted(digests)
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        query = select(CheckpointBlobRow.digest).where(
            CheckpointBlobRow.run_id == run_id, CheckpointBlobRow.digest.in_(part)
        )
        known = set(session.scalars(query))
        session.add_all(CheckpointBlobRow(run_id=run_id, digest=one) for one in part if one not in known)
