"""Removing old backups from a target, and the blobs that only they had.

A backup counts when all of it is there: its document is readable, it lacks nothing, and every file that it
names is in the target with its size. The newest one that counts stays, whatever is asked for; where none
counts nothing is removed. Documents go before blobs, so one that breaks off has left whole backups and
room to be won by the next.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from respawn_jobs.backup.target import BackupTarget, Document, listed
from respawn_jobs.backup.target_lock import turn
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import Corrupt, NotFound
from respawn_kernels.counting import how_many


@dataclass
class Pruned:
    """What a target held, and what has gone."""

    kept: list[str] = field(default_factory=list)
    """Ids of backups, oldest first."""
    removed: list[str] = field(default_factory=list)
    faulty: dict[str, str] = field(default_factory=dict)
    """Backups of `kept` that are not whole, and why."""
    blobs: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class _Backup:
    document: Document
    needs: frozenset[bytes]
    """The digests of all its files, as far as it tells them."""
    fault: str | None
    """Why it does not count; None for a whole one."""
    complete: bool
    """Whether all that it needs is known."""


def prune(
    place: BackupTarget,
    *,
    keep: int = 1,
    keep_days: float = 0,
    dry_run: bool = False,
    clock: Clock = utc_now,
) -> Pruned:
    """Remove backups that are neither among the newest whole ones nor young.

    Args:
        place: the target.
        keep: how many whole backups stay at least, the newest ones.
        keep_days: backups that are younger stay too.
        dry_run: whether nothing is removed, and the answer names what would be.
        clock: the present moment.

    Raises:
        Conflict: a backup is being made there, or somebody else prunes.
        InvalidInput: a document cannot be read by this version: what it needs is not known.
    """
    with turn(place, "pruning"):
        sizes = {digest: file.size for file, digest in place.blobs.listed() if digest is not None}
        backups = [_looked_at(place, place.document(name), sizes) for name in place.ids()]
        gone = _beyond(backups, max(keep, 1), clock() - timedelta(days=keep_days))
        stay = [one for one in backups if one not in gone]
        needed: set[bytes] = set().union(*(one.needs for one in stay))
        # What a backup that broke off has left goes as well. Of a damaged one the needs are not all known.
        known = bool(stay) and all(one.complete for one in stay)
        spare = [digest for digest in sizes if known and bytes.fromhex(digest) not in needed]
        if not dry_run:
            for one in gone:
                place.forget(one.document)
            for digest in spare:
                place.blobs.remove(digest)
        return Pruned(
            kept=[one.document.id for one in stay],
            removed=[one.document.id for one in gone],
            faulty={one.document.id: one.fault for one in stay if one.fault is not None},
            blobs=len(spare),
            bytes=sum(sizes[digest] for digest in spare),
        )


def _looked_at(place: BackupTarget, document: Document, sizes: dict[str, int]) -> _Backup:
    needs = {bytes.fromhex(piece.digest) for piece in (*document.dump, *document.listing)}
    fault = (
        f"{how_many(len(document.missing), 'blob was', 'blobs were')} missing when it was made"
        if document.missing
        else None
    )
    try:
        for digest, size in _blobs(place, document):
            needs.add(bytes.fromhex(digest))
            if sizes.get(digest) != size:
                fault = fault or f"blob {digest} is gone from the target or was cut short"
    except (NotFound, Corrupt) as error:
        return _Backup(
            document, frozenset(needs), f"its list of blobs is damaged: {error.message}", complete=False
        )
    if any(sizes.get(piece.digest) != piece.size for piece in document.dump):
        fault = fault or "its database is gone from the target or was cut short"
    return _Backup(document, frozenset(needs), fault, complete=True)


def _blobs(place: BackupTarget, document: Document) -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryDirectory(prefix="respawn-prune-") as directory:
        path = Path(directory) / "listing"
        place.fetch_file(document.listing, path)
        yield from listed(path)


def _beyond(backups: list[_Backup], keep: int, young: datetime) -> list[_Backup]:
    """Return those that go: older than the whole ones that stay, and not young."""
    whole = [place for place, one in enumerate(backups) if one.fault is None]
    if not whole:
        return []
    first = whole[-keep] if len(whole) >= keep else 0
    return [one for one in backups[:first] if one.document.made_at <= young]
