"""The collector: removes the bytes of blobs that nothing names any more, beside running jobs.

`ledger.registry` tells how writers and the collector mind each other. Any number of collectors may work at
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
from respawn_jobs.ledger import backups
from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.named_blobs import named
from respawn_jobs.ledger.registry import LEFT_BEHIND, batches
from respawn_jobs.store.tables import BlobRow, NamespaceBlobRow

logger = logging.getLogger(__name__)
GRACE = timedelta(days=1)
SHORTEST_GRACE = timedelta(hours=1)
_GIVEN_UP = timedelta(seconds=20)
"""How long after condemning blobs a collector removes them; well before others take them for left behind."""
_STEP = 1000
_REMOVED_AT_ONCE = 50
_PARALLEL = 8


@dataclass(frozen=True)
class Step:
    """What one step of a collector did."""

    removed: int
    ended: bool
    """Whether the walk through the registry has come to its end; the next step begins anew."""


class Collector:
    """Walks the registry of blobs again and again."""

    def __init__(self, context: Context, grace: timedelta = GRACE) -> None:
        """Prepare a walk.

        Args:
            context: the ledger's.
            grace: how long a blob that nothing names is kept after it was last touched; an hour at least.
        """
        if grace < SHORTEST_GRACE:
            raise InvalidInput(f"blobs are kept for {SHORTEST_GRACE} at least, not {grace}")
        self._context = context
        self._grace = grace
        self._last = ""

    def step(self) -> Step:
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
        return Step(collect(self._context, set(found) - names, cutoff), ended)


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
            condemned = _condemn(context, part[start : start + _REMOVED_AT_ONCE], cutoff)
            if condemned:
                removed += _remove(context, condemned, until)
    return removed


def _condemn(context: Context, digests: Collection[str], cutoff: datetime | None) -> list[str]:
    now = context.clock()
    rows = select(BlobRow).where(BlobRow.digest.in_(digests)).order_by(BlobRow.digest)
    with context.database.session(write=True) as session:
        locked = {row.digest: row for row in session.scalars(rows.with_for_update(skip_locked=True))}
        # Only now, with the rows locked: what is named from here on waits for this transaction.
        names = named(session, locked)
        if backups.under_way(session, now):
            return []  # nor those that are condemned already: a snapshot from before may name them
        condemned = [
            digest
            for digest, row in locked.items()
            if digest not in names
            and (
                row.touched_at < now - LEFT_BEHIND
                if row.removing
                else cutoff is None or row.touched_at < cutoff
            )
        ]
        for digest in condemned:
            locked[digest].removing, locked[digest].touched_at = True, now
        session.execute(delete(NamespaceBlobRow).where(NamespaceBlobRow.digest.in_(condemned)))
    return condemned


def _remove(context: Context, condemned: Sequence[str], until: datetime) -> int:
    """Remove the bytes and the rows of condemned blobs; what the store does not remove now, it does later.

    No row is locked meanwhile, since the store may be slow: for a minute from the condemnation, nobody else
    touches what is condemned.
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

    as_condemned = (BlobRow.removing.is_(True), BlobRow.touched_at <= until)
    with context.database.session() as session:
        mine = session.scalars(
            select(BlobRow.digest).where(BlobRow.digest.in_(condemned), *as_condemned)
        ).all()
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="respawn-collector") as pool:
        removed = [digest for digest, done in zip(mine, pool.map(gone, mine), strict=True) if done]
    with context.database.session(write=True) as session:
        session.execute(delete(BlobRow).where(BlobRow.digest.in_(removed), *as_condemned))
    return len(removed)
