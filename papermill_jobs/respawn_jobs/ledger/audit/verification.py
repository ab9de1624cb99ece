"""Whether the audit trail is whole: what a check looks at, and how it names the first record that is wrong.

changed, by whom ever            its hash does not fit its content
missing, in between              its number is not there
added, or rewritten as a whole   its signature does not fit: only who has the key can sign
missing, at the end              the head row tells of it, or the file outside of the database does
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy import select

from respawn_jobs.errors import Corrupt
from respawn_jobs.keyring import Key
from respawn_jobs.ledger.audit.trail import hash_of, mac_of
from respawn_jobs.ledger.context.audit_anchor import Anchored, Head
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.store.tables import AuditHeadRow, AuditRow

_AT_ONCE = 500


@dataclass(frozen=True)
class Fault:
    """The first record that is wrong."""

    seq: int
    kind: Literal["changed", "missing", "added"]
    message: str


@dataclass(frozen=True)
class AuditCheck:
    """What a check of the trail has found."""

    records: int
    head: Head | None
    """The last record that was found right."""
    signed_from: int | None
    """The first record that is signed; those before it are covered by its hash. None: no record is."""
    anchored: int | None
    """Up to which record the file outside of the database knows the trail; None where there is none."""
    keys: list[str]
    """Ids of the keys that signed, in order of their use."""
    fault: Fault | None


@dataclass
class _Walk:
    """The trail as far as it was read."""

    keys: dict[str, Key]
    signed_from: int | None
    kept: dict[int, set[str]]
    """Records that were noted outside of the database."""
    seq: int = 0
    hash: str = ""
    used: list[str] = field(default_factory=list)
    first_signed: int | None = None
    latest: datetime | None = None

    def step(self, row: AuditRow) -> Fault | None:
        """Take the next record in; return what is wrong with it."""
        looks = (self._misplaced, self._altered, self._unsigned, self._otherwise_kept)
        fault = next((found for look in looks if (found := look(row))), None)
        if fault is None:
            self._accept(row)
        return fault

    def _misplaced(self, row: AuditRow) -> Fault | None:
        if row.seq == self.seq + 1:
            return None
        if row.seq <= self.seq:
            return _added(row.seq, "its number is none of the trail's")
        return _missing(self.seq + 1)

    def _altered(self, row: AuditRow) -> Fault | None:
        digest = hash_of(row.seq, row.at, row.actor, row.action, row.subject, row.details, row.previous)
        if digest != row.hash or row.namespace != row.details.get("namespace"):
            return _changed(row.seq, "its content does not fit its hash")
        if row.previous == self.hash:
            return None
        if row.key is not None and self._signs(row) and self.seq:
            return _changed(self.seq, "or was added: the signed record after it follows another one")
        return _changed(row.seq, "it does not follow the record before it")

    def _unsigned(self, row: AuditRow) -> Fault | None:
        if not self.keys:
            return None
        if row.key is None or row.mac is None:
            begun = self.first_signed is not None or (self.signed_from or row.seq + 1) <= row.seq
            return _added(row.seq, "it is not signed") if begun else None
        key = self.keys.get(row.key)
        if key is None:
            return _added(row.seq, f"its key {row.key} is not among the keys of this service")
        if not self._signs(row):
            return _added(row.seq, "its signature does not fit")
        if key.accepted_until is not None and max(row.at, self.latest or row.at) > key.accepted_until:
            return _added(row.seq, f"it is signed with the key {key.id}, after its time")
        return None

    def _otherwise_kept(self, row: AuditRow) -> Fault | None:
        if self.kept.get(row.seq, {row.hash}) == {row.hash}:
            return None
        return _changed(row.seq, "it is not the record of this number that was noted outside of the database")

    def _signs(self, row: AuditRow) -> bool:
        key = self.keys.get(row.key or "")
        return key is not None and hmac.compare_digest(mac_of(key.secret, row.hash), row.mac or "")

    def _accept(self, row: AuditRow) -> None:
        self.seq, self.hash = row.seq, row.hash
        self.latest = max(row.at, self.latest or row.at)
        if row.key is not None:
            self.first_signed = self.first_signed or row.seq
            if row.key not in self.used:
                self.used.append(row.key)


def check(context: Context, kept: Sequence[Head] = ()) -> AuditCheck:
    """Read the whole trail, and tell whether it is as it was written.

    Args:
        context: the ledger's, with the keys and the file outside of the database.
        kept: records as earlier checks returned them, or as they were sent, which were kept elsewhere.
    """
    anchored, damaged = _anchored(context)
    noted = [head for head in (*anchored.broken, anchored.head, *kept) if head is not None]
    hashes: dict[int, set[str]] = {}
    for head in noted:
        hashes.setdefault(head.seq, set()).add(head.hash)
    walk = _Walk(keys={}, signed_from=anchored.signed_from, kept=hashes)
    fault = _read(context, walk, noted) or _broken(anchored) or damaged
    return AuditCheck(
        records=walk.seq,
        head=Head(seq=walk.seq, hash=walk.hash) if walk.seq else None,
        signed_from=walk.first_signed,
        anchored=anchored.head.seq if anchored.head else None,
        keys=walk.used,
        fault=fault,
    )


def _read(context: Context, walk: _Walk, noted: list[Head]) -> Fault | None:
    query = select(AuditRow).order_by(AuditRow.seq).execution_options(yield_per=_AT_ONCE)
    with context.database.session() as session:
        head = session.get(AuditHeadRow, 1)
        last = head.seq if head else 0
        # After the transaction has begun: it sees no record that was signed with a later key.
        walk.keys = {key.id: key for key in context.keyring.all("audit")} if context.keyring else {}
        for row in session.scalars(query):
            if row.seq > last:
                return (
                    _missing(walk.seq + 1) if walk.seq < last else _added(row.seq, "the trail ends before it")
                )
            if fault := walk.step(row):
                return fault
        if head is None or head.seq > walk.seq:
            return _missing(walk.seq + 1, ", and all after it: the trail's end is cut off")
        if head.hash != walk.hash:
            return _changed(walk.seq, "the trail's head tells another hash")
    if any(one.seq > walk.seq for one in noted):
        last = max(one.seq for one in noted)
        return _missing(walk.seq + 1, f", and all after it, up to {last}: the trail's end is cut off")
    return None


def _anchored(context: Context) -> tuple[Anchored, Fault | None]:
    try:
        return (context.anchor.read() if context.anchor else Anchored()), None
    except Corrupt as error:
        return Anchored(), Fault(0, "changed", error.message)


def _broken(anchored: Anchored) -> Fault | None:
    """Name what was gone when the next record was written, and what the trail has grown over since."""
    if not anchored.broken:
        return None
    first = min(anchored.broken, key=lambda head: head.seq)
    return _missing(first.seq, ": it was there, and was gone when the next one was written")


def _changed(seq: int, why: str) -> Fault:
    return Fault(seq, "changed", f"audit record {seq} was changed: {why}")


def _missing(seq: int, why: str = "") -> Fault:
    return Fault(seq, "missing", f"audit record {seq} is missing{why}")


def _added(seq: int, why: str) -> Fault:
    return Fault(seq, "added", f"audit record {seq} was added or rewritten without the key: {why}")
