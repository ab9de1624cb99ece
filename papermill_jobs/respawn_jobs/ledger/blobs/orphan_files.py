"""Orphans: files of the blob store that no record knows, from before the registry or from a lost database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from respawn_jobs.api.history import Orphans
from respawn_jobs.ledger.blobs.garbage_collector import collect
from respawn_jobs.ledger.blobs.references import named
from respawn_jobs.ledger.blobs.registry import insert_new
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.store.tables import BlobRow

_AT_ONCE = 500
_MAX_NAMED = 1000
_INCOMPLETE = ".incomplete-"


@dataclass
class _Found:
    count: int = 0
    size: int = 0
    removed: int = 0
    names: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def orphans(context: Context, *, remove: bool) -> Orphans:
    """Look through the whole store for orphans older than the grace; see `HistoryService.orphans`.

    A blob is removed as the collector does it: it gets a row in the registry first, so a writer of the same
    bytes is never in the way. What a write that broke off has left is removed too.
    """
    cutoff = context.clock() - context.blob_grace
    found = _Found()
    waiting: dict[str, tuple[str, int, datetime]] = {}
    for file, digest in context.blobs.listed():
        if file.modified >= cutoff:
            continue
        if digest is not None:
            waiting[digest] = (file.name, file.size, file.modified)
        elif file.name.rpartition("/")[2].startswith(_INCOMPLETE):
            _note(found, file.name, file.size)
            if remove:
                context.blobs.remove_file(file.name)
                found.removed += 1
        elif len(found.foreign) < _MAX_NAMED:
            found.foreign.append(file.name)
        if len(waiting) >= _AT_ONCE:
            _decide(context, found, waiting, cutoff, remove=remove)
            waiting = {}
    _decide(context, found, waiting, cutoff, remove=remove)
    return Orphans(
        count=found.count, size=found.size, names=found.names, foreign=found.foreign, removed=found.removed
    )


def _decide(
    context: Context,
    found: _Found,
    files: dict[str, tuple[str, int, datetime]],
    cutoff: datetime,
    *,
    remove: bool,
) -> None:
    with context.database.session() as session:
        known = set(session.scalars(select(BlobRow.digest).where(BlobRow.digest.in_(list(files)))))
        known |= named(session, files)
    lost = {digest: file for digest, file in files.items() if digest not in known}
    for name, size, _ in lost.values():
        _note(found, name, size)
    if not (remove and lost):
        return
    with context.database.session(write=True) as session:
        rows = [
            {"digest": digest, "touched_at": modified, "removing": False}
            for digest, (_, _, modified) in lost.items()
        ]
        insert_new(session, BlobRow, rows)
    found.removed += collect(context, lost, cutoff)


def _note(found: _Found, name: str, size: int) -> None:
    found.count += 1
    found.size += size
    if len(found.names) < _MAX_NAMED:
        found.names.append(name)
