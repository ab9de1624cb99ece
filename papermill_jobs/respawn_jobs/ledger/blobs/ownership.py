"""Which blobs a namespace holds: those that its own runners put, and those that the ledger stored for it.

The store keeps equal bytes once for everybody, so a digest alone must open nothing: a runner may name only
what its namespace holds, and whether others have stored the same bytes stays hidden.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.ledger.blobs.registry import announce, fresh_of, insert_new, secure, touch
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import CheckpointBlobRow, NamespaceBlobRow
from respawn_kernels.digest import digest_of

"""Digests per query; databases limit how many values one may have."""


def store(context: Context, namespace: str, text: str) -> str:
    """Store a text for a namespace and return its digest. Who names it does so within minutes.

    Args:
        context: the ledger's surroundings.
        namespace: who holds the blob from then on.
        text: the text.
    """
    data = encoded(text)
    put(context, namespace, digest_of(data), data)
    return digest_of(data)


def put(context: Context, namespace: str, digest: str, source: bytes | Path, *, new: bool = False) -> None:
    """Store bytes that a namespace gave under their digest.

    Raises `Corrupt` when they do not match it, `Unavailable` while such bytes are just being removed.

    Args:
        context: the ledger's surroundings.
        namespace: who gave them, and holds the blob from then on.
        digest: the BLAKE3 digest that they are stored under.
        source: the bytes, or the file that has them.
        new: that the namespace did not hold it a moment ago.
    """
    announce(context, [digest])
    context.blobs.put(digest, source)
    # Race: a blob that the namespace held may have been collected since somebody asked.
    if new or new_to(context, namespace, digest):
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        _hold(context, namespace, digest, size)


def encoded(text: str) -> bytes:
    """Return the bytes that are stored of a text. A lone surrogate, which has none, becomes `?`."""
    return text.encode(errors="replace")


def there(context: Context, namespace: str, digests: list[str]) -> set[str]:
    """Return those of the digests that a namespace holds and whose bytes are stored; these are touched.

    Args:
        context: the ledger's surroundings.
        namespace: whose blobs.
        digests: BLAKE3 digests of the blobs.
    """
    if not digests:
        return set()
    with context.database.session() as session:
        known = held(session, namespace, digests)
        fresh = fresh_of(context, session, known)
    return kept(context, known, fresh)


def kept(context: Context, known: set[str], fresh: set[str]) -> set[str]:
    """Return those blobs whose bytes are stored; they are touched.

    Args:
        context: the ledger's surroundings.
        known: digests that a namespace holds.
        fresh: those of them that were touched lately.
    """
    touched = fresh | (touch(context, known - fresh) if known - fresh else set())
    return touched - set(context.blobs.missing(sorted(touched)))


def _hold(context: Context, namespace: str, digest: str, size: int) -> None:
    with context.database.session(write=True) as session:
        secure(session, [digest])
        insert_new(session, NamespaceBlobRow, [{"namespace": namespace, "digest": digest, "size": size}])


def new_to(context: Context, namespace: str, digest: str) -> bool:
    """Return whether a namespace does not hold a blob yet.

    Args:
        context: the ledger's surroundings.
        namespace: the namespace.
        digest: the blob's BLAKE3 digest.
    """
    with context.database.session() as session:
        return not held(session, namespace, [digest])


def held(session: Session, namespace: str, digests: list[str]) -> set[str]:
    """Return those of the digests that a namespace holds.

    Args:
        session: the caller's transaction.
        namespace: whose blobs.
        digests: BLAKE3 digests of the blobs.
    """
    found: set[str] = set()
    for some in in_pieces(digests):
        query = select(NamespaceBlobRow.digest).where(
            NamespaceBlobRow.namespace == namespace,
            NamespaceBlobRow.digest.in_(some),
        )
        found.update(session.scalars(query))
    return found


def name_in_checkpoints(session: Session, run_id: str, digests: set[str]) -> None:
    """Note that a run's checkpoints name these blobs. The caller has locked or just inserted the run.

    Raises `Unavailable` when one of them was collected.

    Args:
        session: the caller's transaction; it writes.
        run_id: the run's id.
        digests: BLAKE3 digests of the blobs.
    """
    secure(session, digests)
    wanted = sorted(digests)
    for part in in_pieces(wanted):
        query = select(CheckpointBlobRow.digest).where(
            CheckpointBlobRow.run_id == run_id, CheckpointBlobRow.digest.in_(part)
        )
        known = set(session.scalars(query))
        session.add_all(CheckpointBlobRow(run_id=run_id, digest=one) for one in part if one not in known)
