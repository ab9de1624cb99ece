"""Making a backup: a snapshot of the database, then the blobs that are named in it, then the document."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from respawn_jobs.backup.database_dump import snapshot
from respawn_jobs.backup.target import BackupPiece, BackupTarget, Document, copied
from respawn_jobs.backup.target_lock import turn
from respawn_jobs.errors import Conflict
from respawn_jobs.ids import new_id
from respawn_jobs.keyring import PURPOSES
from respawn_jobs.ledger.blobs.backup_leases import blobs_kept
from respawn_jobs.ledger.blobs.references import all_named
from respawn_jobs.ledger.context.audit_anchor import Head
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.operations import rotation
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.database import revision_in
from respawn_jobs.store.tables import AttemptRow, AuditHeadRow

_AT_ONCE = 500


@dataclass(frozen=True)
class CreatedBackup:
    """A backup that was made."""

    document: Document
    copied: int
    """Blobs that the target did not have."""
    copied_bytes: int


def back_up(
    context: Context,
    place: BackupTarget,
    *,
    with_keys: bool = False,
    progress: Callable[[int, int], None] = lambda _there, _total: None,
) -> CreatedBackup:
    """Make a backup of a store, beside a service at work.

    Args:
        context: the ledger's.
        place: the target; blobs that it has are not copied again.
        with_keys: whether the service's own keys go along: who has the backup can then sign as the service.
        progress: called with how many blobs are there, and with how many there will be.

    Returns:
        The backup. It names what could not be copied because the store itself lacks it.

    Raises:
        Conflict: the service has keys, and this machine has not; or old backups are being removed there.
    """
    if context.keyring is not None:
        rotation.check_there(context)
    with (
        turn(place, "making"),
        tempfile.TemporaryDirectory(prefix="respawn-backup-") as directory,
        blobs_kept(context),
    ):
        scratch = Path(directory)
        with snapshot(context.database, scratch / "database") as session:
            made_at = context.clock()
            names = _written(session, scratch / "names")
            executing, head = _executing(session), _head(session)
            revision = _revision(context, session)
        copy = _Copy(context, place, scratch)
        listing = copy.all(scratch / "names", names, progress)
        ring = context.keyring
        document = Document(
            id=f"{made_at:%Y%m%dT%H%M%S.%fZ}-{new_id('bak').removeprefix('bak-')}",
            made_at=made_at,
            version=version("jupyterhub-respawn"),
            database=context.database.kind,
            revision=revision,
            dump=place.store_file(scratch / "database"),
            listing=listing,
            blobs=copy.blobs,
            bytes=copy.bytes,
            missing=sorted(copy.missing),
            executing=executing,
            audit=head,
            keys={purpose: [key.id for key in ring.all(purpose)] for purpose in PURPOSES} if ring else {},
            keys_included=with_keys and ring is not None,
        )
        place.publish(document, ring.text() if ring and with_keys else None)
    return CreatedBackup(document, copy.copied, copy.copied_bytes)


def _revision(context: Context, session: Session) -> str:
    """Return the schema of a backup. Raises `Conflict` when it has tables that this version does not know."""
    revision = revision_in(session)
    if revision > context.database.schema.head:
        raise Conflict(
            f"the database {context.database.url} was changed by a newer version, and this one would leave "
            "out what it does not know: use the command of the newer version"
        )
    return revision


class _Copy:
    """Copies the blobs that are named, and counts."""

    def __init__(self, context: Context, place: BackupTarget, scratch: Path) -> None:
        self.blobs = self.bytes = self.copied = self.copied_bytes = 0
        self.missing: list[str] = []
        self._context = context
        self._place = place
        self._scratch = scratch
        self._there = {digest: file.size for file, digest in place.blobs.listed() if digest is not None}

    def all(self, names: Path, total: int, progress: Callable[[int, int], None]) -> list[BackupPiece]:
        """Copy what is not there yet, and store the listing."""
        path = self._scratch / "listing"
        with names.open() as lines, path.open("w") as listing:
            part: list[str] = []
            for line in lines:
                part.append(line.strip())
                if len(part) == _AT_ONCE:
                    listing.writelines(self._some(part))
                    progress(self.blobs, total)
                    part = []
            listing.writelines(self._some(part))
            progress(self.blobs, total)
        return self._place.store_file(path)

    def _some(self, digests: list[str]) -> list[str]:
        def lacking(digest: str, _error: Exception) -> None:
            self.missing.append(digest)

        new = [digest for digest in digests if digest not in self._there]
        sizes = copied(self._context.blobs, self._place.blobs, new, self._scratch, lacking)
        self.copied += len(sizes)
        self.copied_bytes += sum(sizes.values())
        known = {digest: self._there[digest] for digest in digests if digest in self._there} | sizes
        self.blobs += len(known)
        self.bytes += sum(known.values())
        return [f"{digest} {known[digest]}\n" for digest in digests if digest in known]


def _written(session: Session, path: Path) -> int:
    """Write the digests that the snapshot names, and return how many there are."""
    count = 0
    with path.open("w") as file:
        for digests in all_named(session):
            file.writelines(f"{digest}\n" for digest in digests)
            count += len(digests)
    return count


def _executing(session: Session) -> int:
    executing = [state.value for state in RunState if state.executing]
    query = select(func.count()).select_from(AttemptRow).where(AttemptRow.state.in_(executing))
    return session.scalar(query) or 0


def _head(session: Session) -> Head | None:
    row = session.get(AuditHeadRow, 1)
    return Head(seq=row.seq, hash=row.hash) if row is not None and row.seq else None
