"""The audit trail: who did what, each record hashed together with the one before it, and signed.

A record is written in the transaction of what it records: both happen or neither. Its hash covers the hash of
the record before it, so the trail is one chain; the signature is an HMAC of that hash with a key outside of
the database, so only the service can lengthen or rewrite the chain. The end of it is noted outside as well
(`context.audit_anchor`). `audit.verification` looks whether all that holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.errors import Corrupt, Unavailable
from respawn_jobs.ledger.context.audit_anchor import AuditAnchor, Head
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.context.top_n import newest_keys
from respawn_jobs.model.audit import AuditRecord
from respawn_jobs.store.database import at_commit
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.service_tables import NamespaceRow
from respawn_jobs.store.tables import AuditHeadRow, AuditRow

logger = logging.getLogger(__name__)


def write(
    context: Context, session: Session, actor: str, action: str, namespace: str, subject: str, **details: Any
) -> None:
    """Append a record. Writers take turns on the head row, so the chain never forks.

    Args:
        context: the ledger's surroundings.
        session: the transaction of what is recorded.
        actor: name of who did it.
        action: what was done, such as `cancel`.
        namespace: where; its readers see the record.
        subject: id or name of what it was done to.
        **details: what else is recorded of it; what JSON can hold.
    """
    head = session.scalars(select(AuditHeadRow).where(AuditHeadRow.id == 1).with_for_update()).one()
    at = context.clock().astimezone(UTC)
    details = json.loads(json.dumps({**details, "namespace": namespace}))
    seq, previous = head.seq + 1, head.hash
    digest = hash_of(seq, at, actor, action, subject, details, previous)
    # After the time was taken: a key that was current before this instant may sign it.
    key = context.keyring.current("audit") if context.keyring else None
    broken = _broken(context.anchor, session, head)
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
            key=key.id if key else None,
            mac=mac_of(key.secret, digest) if key else None,
        )
    )
    head.seq, head.hash = seq, digest
    if context.anchor is not None:
        at_commit(session, "audit", partial(_anchored, context.anchor, head, key is not None, broken))


def hash_of(
    seq: int, at: datetime, actor: str, action: str, subject: str, details: dict[str, Any], previous: str
) -> str:
    """Return the hash of a record, which covers that of the record before it.

    Args:
        seq: the record's number in the trail.
        at: when, in UTC; hashed to the microsecond.
        actor: who did it.
        action: what was done.
        subject: id or name of what it was done to.
        details: JSON values.
        previous: the hash of the record before it.
    """
    document = [seq, at.isoformat(timespec="microseconds"), actor, action, subject, details, previous]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def mac_of(secret: str, digest: str) -> str:
    """Return the signature of a record by its hash.

    The signature is an HMAC (RFC 2104) with SHA-256.
    """
    return hmac.new(secret.encode(), f"respawn audit {digest}".encode(), hashlib.sha256).hexdigest()


def _broken(anchor: AuditAnchor | None, session: Session, head: AuditHeadRow) -> Head | None:
    """Return the last record that this machine saw, when it is no longer there as it was."""
    try:
        last = anchor.read().head if anchor else None
    except (Corrupt, Unavailable) as error:
        logger.warning("the end of the audit trail cannot be compared: %s", error)
        return None
    if last is None or (last.seq, last.hash) == (head.seq, head.hash):
        return None
    found = session.scalar(select(AuditRow.hash).where(AuditRow.seq == last.seq))
    if found == last.hash and last.seq < head.seq:
        return None
    logger.error(
        "audit record %d, which this machine saw, is gone or changed: `respawn audit verify` says more",
        last.seq,
    )
    return last


def _anchored(
    anchor: AuditAnchor, head: AuditHeadRow, signed: bool, broken: Head | None, _session: Session
) -> Callable[[], None]:
    # Read at the end of the transaction: a savepoint that was taken back has taken its records back.
    end = Head(seq=head.seq, hash=head.hash)
    return partial(anchor.advance, end, signed=signed, broken=broken)


def newest(context: Context, actor: Actor, limit: int) -> list[AuditRecord]:
    """Return the newest records of namespaces that the actor may read, newest first.

    Args:
        context: the ledger's surroundings.
        actor: who asks.
        limit: the most records; below zero counts as zero.
    """
    readable = actor.readable()
    parts = [{}] if readable is None else [{"namespace": namespace} for namespace in sorted(readable)]
    with context.database.session() as session:
        numbers = [key[0] for key in newest_keys(session, AuditRow, ("seq",), parts, max(0, limit))]
        query = select(AuditRow).order_by(AuditRow.seq.desc())
        pieces = (query.where(AuditRow.seq.in_(some)) for some in in_pieces(numbers))
        begins = _begins(session, readable)
        rows = (row for piece in pieces for row in session.scalars(piece))
        return [_record(row) for row in rows if row.seq >= begins.get(row.namespace, 0)]


def _begins(session: Session, readable: frozenset[str] | None) -> dict[str, int]:
    """Return where the records of a namespace's present owner begin, where another had its name before."""
    if readable is None:
        return {}
    query = select(NamespaceRow.namespace, NamespaceRow.audit_from).where(NamespaceRow.audit_from > 0)
    found: dict[str, int] = {}
    for some in in_pieces(sorted(readable)):
        found |= {
            name: int(first) for name, first in session.execute(query.where(NamespaceRow.namespace.in_(some)))
        }
    return found


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
