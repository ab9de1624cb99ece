"""The registry of blobs: one row for each digest, by which writers and the collector mind each other.

A writer announces a blob, then puts its bytes, then notes that its namespace holds it, each in a transaction
of its own; a last one names it in a record. The collector (`blobs.garbage_collector`) marks a blob that
nobody has touched for the grace and nothing names: in one transaction it marks the row `removing` and takes
the blob from every namespace. Then it removes the bytes and, last, the row. What may come between, wherever
one stops:

    announce | mark         The row was just touched: it is not marked before the grace is over.
    mark    | announce      Refused as `Unavailable` while the bytes may be going. One that was marked a
                            minute ago was left by a collector that died: the announcement takes it back.
    announce, put | mark    A writer that sleeps longer than the grace finds the blob gone when it goes on:
                            `holdings` and `secure` refuse, and the writer puts the bytes again.
    missing | mark          Who is told that a blob is there has touched its row. A blob that is marked is
                            held by no namespace, so it counts as missing, and is announced and put again.
    secure | mark           What names a blob locks its row (shared) in the transaction that names it. The
                            collector passes over locked rows, and looks for names only once it has the lock:
                            in READ COMMITTED that look sees all that was committed before.
    mark    | secure        Waits for the lock, sees `removing`, and refuses: nothing names a blob that goes.
    mark    | dies          The next collector marks it anew after a minute, and removes it.
    removal | dies          A row without bytes: the next collector removes it, or a writer puts them again.
    removal | removal       A collector removes for 20 seconds from when it marked, and waits ten for the
                            store; others let the row alone for a minute. It removes the row only while it
                            is as it was marked.
    snapshot | mark         A backup says that it lives before its snapshot; who would mark looks for that
                            in the same transaction, and marks nothing: see `blobs.backup_leases`.
    resume  | mark          A resume names what the run before it names: both are named, and it is secured.

So the clocks of all replicas must agree within half a minute. On SQLite, writers take turns as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.store.columns import Base
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import BlobRow

FRESH = timedelta(minutes=15)
"""A row that was touched so lately is not touched again: a quarter of the shortest grace."""
LEFT_BEHIND = timedelta(seconds=60)
"""After this time a marked blob was left by a collector that died."""


def announce(context: Context, digests: Collection[str]) -> None:
    """Say that the bytes of these blobs are about to be put.

    Raises `Unavailable` while one of them is being removed; the same call succeeds soon.
    """
    for part in batches(digests):
        if _fresh(context, part) == set(part):
            continue
        with context.database.session(write=True) as session:
            _announce(context, session, part)


def touch(context: Context, digests: Collection[str]) -> set[str]:
    """Return those of the blobs that are registered and are not being removed, once they are touched."""
    known: set[str] = set()
    for part in batches(digests):
        fresh = _fresh(context, part)
        known |= fresh
        rest = [digest for digest in part if digest not in fresh]
        if not rest:
            continue
        with context.database.session(write=True) as session:
            for row in session.scalars(_rows(rest).where(BlobRow.removing.is_(False)).with_for_update()):
                row.touched_at = max(row.touched_at, context.clock())
                known.add(row.digest)
    return known


def secure(session: Session, digests: Collection[str]) -> None:
    """Keep blobs from being collected until this transaction, which names them, is over.

    Raises `Unavailable` when one is gone or going: it has to be put again.
    """
    for part in batches(digests):
        query = _rows(part).where(BlobRow.removing.is_(False)).with_for_update(read=True)
        found = {row.digest for row in session.scalars(query)}
        gone = [digest for digest in part if digest not in found]
        if gone:
            raise Unavailable(f"blob {gone[0]} was removed before it was named; store it again", missing=gone)


def batches(digests: Collection[str]) -> Iterator[Sequence[str]]:
    """Yield digests in a fixed order, so that nobody waits in a circle, in parts that one query takes."""
    return in_pieces(sorted(set(digests)))


def insert_new(session: Session, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert those rows whose key is not there; another transaction that inserts the same is waited for.

    Args:
        session: the caller's transaction; it writes.
        table: where they go.
        rows: columns and values of each; the same columns in all.
    """
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    session.execute(insert(table).values(list(rows)).on_conflict_do_nothing())


def _announce(context: Context, session: Session, part: Sequence[str]) -> None:
    now = context.clock()
    insert_new(
        session, BlobRow, [{"digest": digest, "touched_at": now, "removing": False} for digest in part]
    )
    rows = session.scalars(_rows(part).with_for_update()).all()
    going = [row.digest for row in rows if row.removing and row.touched_at > now - LEFT_BEHIND]
    if going or len(rows) < len(part):
        raise Unavailable(f"blob {(going or part)[0]} is just being removed; try again", digests=going)
    for row in rows:
        row.removing, row.touched_at = False, max(row.touched_at, now)


def fresh_of(context: Context, session: Session, digests: Collection[str]) -> set[str]:
    """Return those of the blobs that are registered and were touched so lately that nobody collects them.

    Args:
        context: the ledger's surroundings.
        session: the caller's transaction.
        digests: BLAKE3 digests of the blobs.
    """
    recent, found = context.clock() - FRESH, set[str]()
    for part in batches(digests):
        query = select(BlobRow.digest).where(
            BlobRow.digest.in_(part), BlobRow.removing.is_(False), BlobRow.touched_at > recent
        )
        found.update(session.scalars(query))
    return found


def _fresh(context: Context, part: Sequence[str]) -> set[str]:
    with context.database.session() as session:
        return fresh_of(context, session, part)


def _rows(part: Sequence[str]) -> Any:
    # Read anew: another transaction may have changed what this session has seen of a row.
    query = select(BlobRow).where(BlobRow.digest.in_(part)).order_by(BlobRow.digest)
    return query.execution_options(populate_existing=True)
