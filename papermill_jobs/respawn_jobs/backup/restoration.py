"""The way back from a backup: into an empty place, verified, and into a state from which a service goes on.

The database comes last, so that no service can start on a half of it. Blobs of this very backup that are in
the target already stay, and so do its keys: a restore that broke off goes on where it was.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import delete, select

from respawn_jobs.backup.database_dump import check_empty, is_empty_file, load
from respawn_jobs.backup.target import BackupTarget, Document, copied, listed
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.keyring import OLDER_FILE as OLDER_KEYS
from respawn_jobs.keyring import PURPOSES, Keyring
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.audit import trail as audit
from respawn_jobs.ledger.blobs import backup_leases
from respawn_jobs.ledger.context.audit_anchor import FILE as ANCHOR
from respawn_jobs.ledger.triggers.scheduling import skip_missed
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.database import Database
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.service_tables import LeaderRow, ReplicaRow
from respawn_jobs.store.tables import AttemptRow, RunRow

_ACTOR = "respawn"
_OF_A_STORE = (OLDER_KEYS, ANCHOR)
"""What a data directory must not have; database, blobs and keys are looked at by themselves."""
_EXECUTING = [state.value for state in RunState if state.executing]
_REASON = "the store was restored from a backup that was made while the run executed"


@dataclass(frozen=True)
class Store:
    """Where a store is to be."""

    data: Path
    """The data directory: empty, or not there."""
    database: Database
    blobs: BlobStore
    keyring: Keyring


@dataclass
class Restored:
    """What has come back."""

    document: Document
    blobs: int = 0
    bytes: int = 0
    lost: list[str] = field(default_factory=list)
    """Runs that executed when the backup was made, and have ended as lost."""
    queued: list[str] = field(default_factory=list)
    """Such runs that are tried again."""
    skipped: int = 0
    """Schedules that were moved on to now."""
    audit: str | None = None
    """What is wrong with the audit trail, as it was backed up."""


def restore(
    place: BackupTarget,
    document: Document,
    store: Store,
    *,
    keys: str | None,
    new_keys: bool = False,
    skip_schedules: bool = False,
    clock: Clock = utc_now,
    progress: Callable[[int, int], None] = lambda _there, _total: None,
) -> Restored:
    """Bring a backup back.

    Args:
        place: where it is.
        document: which one.
        store: where it goes, all parts empty.
        keys: the service's own keys, as text; None for those in the backup, or those in the keyring's file.
        new_keys: whether new ones are made where there are none.
        skip_schedules: whether times that came due since the backup make no runs.
        clock: the present moment.
        progress: called with how many blobs are there, and with how many there will be.

    Raises:
        Conflict: a part of the store is not empty, or the backup is of a newer version.
        InvalidInput: the database is of another kind, or keys are missing.
        NotFound, Corrupt: something of the backup is.
    """
    _check(document, store)
    keys = keys or place.keys(document)
    if keys is not None and store.keyring.path.exists() and store.keyring.path.read_text() == keys:
        keys = None  # a restore that broke off has put them there
    _check_keys(document, store, keys, new_keys=new_keys)
    done = Restored(document)
    with tempfile.TemporaryDirectory(prefix="respawn-restore-") as directory:
        scratch = Path(directory)
        place.fetch_file(document.listing, scratch / "listing")
        _check_blobs(store.blobs, scratch / "listing")
        place.fetch_file(document.dump, scratch / "database")
        store.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if keys is not None:
            store.keyring.take(keys)
        for part in _parts(scratch / "listing"):
            sizes = copied(place.blobs, store.blobs, [digest for digest, _ in part], scratch, _fail)
            done.blobs += len(sizes)
            done.bytes += sum(sizes.values())
            progress(done.blobs, document.blobs)
        load(store.database, scratch / "database")
    _settle(store, done, clock, skip_schedules=skip_schedules)
    return done


def _check(document: Document, store: Store) -> None:
    if document.revision > store.database.schema.head:
        raise Conflict(
            f"backup {document.id} was made by version {document.version}, with schema {document.revision}; "
            f"this version has {store.database.schema.head}: restore it with that version or a newer one"
        )
    if document.database != store.database.kind:
        raise InvalidInput(
            f"backup {document.id} is of {document.database}, and {store.database.url} is "
            f"{store.database.kind}: RESPAWN_DB_URL must name a database of the same kind"
        )
    found = [name for name in _OF_A_STORE if (store.data / name).exists()]
    if not is_empty_file(store.data / "respawn.db"):
        found.append("respawn.db")
    if found:
        raise Conflict(
            f"the data directory {store.data} is not empty, it has {found[0]}: restore into an empty one",
            directory=str(store.data),
        )
    check_empty(store.database)


def _check_keys(document: Document, store: Store, keys: str | None, *, new_keys: bool) -> None:
    there = store.keyring.path.exists()
    if keys is not None and there:
        raise Conflict(f"{store.keyring.path} is there already: give no other keys, or move it away")
    if there and not new_keys:
        known = {key.id for purpose in PURPOSES for key in store.keyring.all(purpose)}
        if {name for names in document.keys.values() for name in names} - known:
            raise Conflict(
                f"{store.keyring.path} has not all keys of backup {document.id}: put back the file of that "
                "service, or give --new-keys"
            )
    if keys is None and not there and store.keyring.given is None and document.keys and not new_keys:
        raise InvalidInput(
            f"backup {document.id} has no keys in it: name the service's file of keys that you kept "
            "(--keys), or give --new-keys: people then sign in again, all webhooks need other secrets, and "
            "the audit trail so far cannot be checked"
        )


def _check_blobs(blobs: BlobStore, listing: Path) -> None:
    """Refuse a blob store with something else in it: two stores must not share one."""
    known = {digest for digest, _ in listed(listing)}
    for file, digest in blobs.listed():
        if digest not in known:
            raise Conflict(
                f"the blob store {blobs.url} is not empty: {file.name} is not of this backup. Restore into "
                "an empty one",
                store=blobs.url,
            )


def _parts(listing: Path) -> Iterator[list[tuple[str, int]]]:
    for part in in_pieces(list(listed(listing))):
        yield list(part)


def _fail(_digest: str, error: Exception) -> None:
    raise error


def _settle(store: Store, done: Restored, clock: Clock, *, skip_schedules: bool) -> None:
    """Bring the schema up to date, end what executed, and note the restore in the audit trail."""
    store.database.prepare()
    ledger = Ledger(
        store.database, store.blobs, clock=clock, keyring=store.keyring, anchor=store.data / ANCHOR
    )
    context = ledger.context
    checked = ledger.check_audit(done.document.audit)
    done.audit = checked.fault.message if checked.fault else None
    with store.database.session(write=True) as session:
        backup_leases.forget(session)
        session.execute(delete(ReplicaRow))
        session.execute(delete(LeaderRow))
        if skip_schedules:
            done.skipped = skip_missed(context, session)
        audit.write(
            context, session, _ACTOR, "restore", "", done.document.id,
            made_at=done.document.made_at.isoformat(), executing=done.document.executing,
        )  # fmt: skip
    query = select(AttemptRow.id, AttemptRow.run_id).where(AttemptRow.state.in_(_EXECUTING))
    with store.database.session() as session:
        found = session.execute(query.order_by(AttemptRow.id)).all()
    for attempt_id, run_id in found:
        ledger.lose(attempt_id, _REASON)
        with store.database.session() as session:
            final = RunState(session.get_one(RunRow, run_id).state).final
        (done.lost if final else done.queued).append(run_id)
