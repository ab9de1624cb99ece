"""Heads of the audit trail that are kept elsewhere: one line of JSON for each, signed with the key of audits.

A head names a record by number and hash, and the hash covers all records before it. Who can write the
database and the files of the service can cut the trail's end off unseen; what was kept elsewhere tells of it.
The signature is that of the record, so nobody without the key can make a head that the trail never had.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from respawn_jobs.errors import InvalidInput
from respawn_jobs.keyring import Keyring
from respawn_jobs.ledger.audit.trail import mac_of
from respawn_jobs.ledger.context.audit_anchor import Head
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.store.tables import AuditHeadRow, AuditRow

_PLAIN = re.compile(r"([1-9][0-9]{0,14}):([0-9a-f]{64})")


class SignedHead(BaseModel):
    """A record of the trail with its signature, at the moment when it was the last one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["respawn-audit-head"] = "respawn-audit-head"
    seq: int
    hash: str
    at: datetime
    """When it was sent."""
    key: str | None = None
    """Id of the key that signed it; None in a trail without keys."""
    mac: str | None = None

    @property
    def head(self) -> Head:
        """What it says of the trail."""
        return Head(seq=self.seq, hash=self.hash)


def signed_head(context: Context) -> SignedHead | None:
    """Return the trail's last record; None where there is none yet."""
    with context.database.session() as session:
        head = session.get(AuditHeadRow, 1)
        if head is None or head.seq == 0:
            return None
        row = session.get(AuditRow, head.seq)
        key, mac = (row.key, row.mac) if row is not None else (None, None)
        return SignedHead(seq=head.seq, hash=head.hash, at=context.clock(), key=key, mac=mac)


def heads_of(text: str, name: str, keyring: Keyring | None) -> Iterator[Head]:
    """Yield the heads of a text: lines of JSON as they were sent, or `NUMBER:HASH` as a check prints them.

    Args:
        text: the lines; a last one without an end of line was being written.
        name: what the text is called in messages.
        keyring: with which signatures are compared; lines without a signature are taken as they are.

    Raises:
        InvalidInput: a line is no head, or its signature does not fit.
    """
    known = {key.id: key for key in keyring.all("audit")} if keyring else {}
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if not line.strip():
            continue
        plain = _PLAIN.fullmatch(line.strip())
        if plain is not None:
            yield Head(seq=int(plain.group(1)), hash=plain.group(2))
            continue
        try:
            signed = SignedHead.model_validate_json(line)
        except ValidationError as error:
            if not line.endswith("\n"):
                continue
            raise InvalidInput(
                f"line {number} of {name} is no head of an audit trail: it is neither a line that the "
                "service sent nor NUMBER:HASH"
            ) from error
        if known or signed.key is not None:
            key = known.get(signed.key or "")
            if key is None or not hmac.compare_digest(mac_of(key.secret, signed.hash), signed.mac or ""):
                raise InvalidInput(
                    f"line {number} of {name} was not signed by this service: its signature does not fit any "
                    f"key named {signed.key}"
                )
        yield signed.head
