"""The audit trail: who did what, each record hashed together with the one before it.

A record is written in the transaction of what it records: both happen or neither. The head row keeps the
number and hash of the last record, so a changed, removed, inserted or cut-off record is noticed; whoever
can write the whole database could still rewrite the whole chain, so copies of the head belong elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.errors import Corrupt
from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.tops import newest_keys
from respawn_jobs.models import AuditRecord
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import AuditHeadRow, AuditRow


def write(
    context: Context, session: Session, actor: str, action: str, namespace: str, subject: str, **details: Any
) -> None:
    """Append a record. Writers take turns on the head row, so the chain never forks."""
    head = session.scalars(select(AuditHeadRow).where(AuditHeadRow.id == 1).with_for_update()).one()
    at = context.clock().astimezone(UTC)
    details = json.loads(json.dumps({**details, "namespace": namespace}))
    seq, previous = head.seq + 1, head.hash
    digest = _hash(seq, at, actor, action, subject, details, previous)
    session.add(
        AuditRow(
            seq=seq,
            at=at,
            actor=actor,
            action=action,
            namespace=namespace,
            subject=subject,
            details=details,
            previous=previous,
            hash=digest,
        )
    )
    head.seq, head.hash = seq, digest


def newest(context: Context, actor: Actor, limit: int) -> list[AuditRecord]:
    """Return the newest records of namespaces that the actor may read, newest first."""
    readable = actor.readable()
    parts = [{}] if readable is None else [{"namespace": namespace} for namespace in sorted(readable)]
    with context.database.session() as session:
        numbers = [key[0] for key in newest_keys(session, AuditRow, ("seq",), parts, max(0, limit))]
        query = select(AuditRow).order_by(AuditRow.seq.desc())
        pieces = (query.where(AuditRow.seq.in_(some)) for some in in_pieces(numbers))
        return [_record(row) for piece in pieces for row in session.scalars(piece)]


def verify(context: Context) -> int:
    """Check the whole chain and return how many records it has.

    Raises `Corrupt` naming the first record that was changed, or that is missing.
    """
    previous, expected = "", 1
    with context.database.session() as session:
        for row in session.scalars(select(AuditRow).order_by(AuditRow.seq).execution_options(yield_per=500)):
            if row.seq != expected:
                raise Corrupt(f"audit record {expected} is missing", seq=expected)
            digest = _hash(row.seq, row.at, row.actor, row.action, row.subject, row.details, row.previous)
            if (
                digest != row.hash
                or row.previous != previous
                or row.namespace != row.details.get("namespace")
            ):
                raise Corrupt(f"audit record {row.seq} was changed", seq=row.seq)
            previous, expected = row.hash, expected + 1
        head = session.get(AuditHeadRow, 1)
        if head is None or (head.seq, head.hash) != (expected - 1, previous):
            raise Corrupt(f"audit records from {expected} on are missing", seq=expected)
    return expected - 1


def _hash(
    seq: int, at: datetime, actor: str, action: str, subject: str, details: dict[str, Any], previous: str
) -> str:
    document = [seq, at.isoformat(timespec="microseconds"), actor, action, subject, details, previous]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _record(row: AuditRow) -> AuditRecord:
    return AuditRecord(
        seq=row.seq,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        details=row.details,
        previous=row.previous,
        hash=row.hash,
    )
