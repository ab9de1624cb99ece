"""The collector: removes the bytes of blobs that nothing names any more, beside running jobs.

`blobs.registry` tells how writers and the collector mind each other. Any number of collectors may work at
once. Each walks the registry in steps of a bounded size, so a step's cost does not grow with what is stored.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, or_, select

from respawn_jobs.errors import InvalidInput, RespawnError
from respawn_jobs.ledger.blobs import backup_leases
from respawn_jobs.ledger.blobs.references import named
from respawn_jobs.ledger.blobs.registry import LEFT_BEHIND, batches
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.store.database import newer_in
from respawn_jobs.store.tables import BlobRow, NamespaceBlobRow

logger = logging.getLogger(__name__)
GRACE = timedelta(days=1)
MIN_GRACE = timedelta(hours=1)
_GIVEN_UP = timedelta(seconds=20)
"""How long after marking blobs a collector removes them; well before others take them for left behind."""
_STEP = 1000
_REMOVED_AT_ONCE = 50
_PARALLEL = 8


@dataclass(frozen=True)
class CollectionStep:
    """What one step of a collector did."""

    removed: int
    ended: bool
    """Whether the walk through the registry has come to its end; the next step begins anew."""


class GarbageCollector:
    """Walks the registry of blobs again and again."""

    def __init__(self, context: Context, grace: timedelta = GRACE) -> None:
        """Prepare a walk.

        Args:
            context: the ledger's.
            grace: how long a blob that nothing names is kept after it was last touched; an hour at least.

        Raises:
            InvalidInput: the grace is shorter than an hour.
        """
        if grace < MIN_GRACE:
            raise InvalidInput(f"blobs are kept for {MIN_GRACE} at least, not {grace}")
        self._context = context
        self._grace = grace
        self._last = ""

    def step(self) -> CollectionStep:
        """Look at the next thousand blobs, and remove those that nothing has named for the grace."""
        now = self._context.clock()
        cutoff = now - self._grace
        left_behind = and_(BlobRow.removing.is_(True), BlobRow.touched_at < now - LEFT_BEHIND)
        query = select(BlobRow.digest).where(
            BlobRow.digest > self._last, or_(BlobRow.touched_at < cutoff, left_behind)
        )
        with self._context.database.session() as session:
            found = session.scalars(query.order_by(BlobRow.digest).limit(_STEP)).all()
            names = named(session, found)
        ended = len(found) < _STEP
        self._last = "" if ended else found[-1]
        return CollectionStep(collect(self._context, set(found) - names, cutoff), ended)


def collect(context: Context, digests: Collection[str], cutoff: datetime | None = None) -> int:
    """Remove those of the blobs that nothing names, and return how many were.

    Args:
        context: the ledger's.
        digests: the blobs to look at.
        cutoff: those touched since are left alone; None for blobs that only the caller could still name.
    """
    removed = 0
    for part in batches(digests):
        for start in range(0, len(part), _REMOVED_AT_ONCE):
            until = context.clock() + _GIVEN_UP
            marked = _mark(context, part[start : start + _REMOVED_AT_ONCE], cutoff)
            if marked:
                removed += _remove(context, marked, until)
    return removed


def _mark(context: Context, digests: Collection[str], cutoff: datetime | None) -> list[str]:
    now = context.clock()
    rows = select(BlobRow).where(BlobRow.digest.in_(digests)).order_by(BlobRow.digest)
    with context.database.session(write=True) as session:
        locked = {row.digest: row for row in session.scalars(rows.with_for_update(skip_locked=True))}
        # Only now, with the rows locked: what is named from here on waits for this transaction.
        names = named(session, locked)
        if backup_leases.under_way(session, now):
            return []  # nor those that are marked already: a snapshot from before may name them
        if newer_in(session, context.database.schema):
            return []  # what a newer version's columns name is not in `named`
        marked = [
            digest
            for digest, row in locked.items()
            if digest not in names
            and (
                row.touched_at < now - LEFT_BEHIND
                if row.removing
                else cutoff is None or row.touched_at < cutoff
            )
        ]
        for digest in marked:
            locked[digest].removing, locked[digest].touched_at = True, now
        session.execute(delete(NamespaceBlobRow).where(NamespaceBlobRow.digest.in_(marked)))
    return marked


def _remove(context: Context, marked: Sequence[str], until: datetime) -> int:
    """Remove the bytes and the rows of marked blobs; what the store does not remove now, it does later.

    No row is locked meanwhile, since the store may be slow: for a minute from the marking, nobody else
    touches what is marked.
    """

    def gone(digest: str) -> bool:
        if context.clock() > until:
            return False
        try:
            context.blobs.remove(digest)
        except RespawnError as error:
            logger.warning("a blob that nothing names stays in the store for now: %s", error)
            return False
        return True

    as_marked = (BlobRow.removing.is_(True), BlobRow.touched_at <= until)
    with context.database.session() as session:
        mine = session.scalars(select(BlobRow.digest).where(BlobRow.digest.in_(marked), *as_marked)).all()
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="respawn-collector") as pool:
        removed = [digest for digest, done in zip(mine, pool.map(gone, mine), strict=True) if done]
    with context.database.session(write=True) as session:
        session.execute(delete(BlobRow).where(BlobRow.digest.in_(removed), *as_marked))
    return len(removed)
