"""Calls of webhooks, signed as a sender signs them."""

from __future__ import annotations

from datetime import datetime
from itertools import count

from respawn_jobs.ledger.triggers.webhook_signatures import SignedCall, sign

_numbers = count(1)


def signed_call(secret: str, at: datetime, body: bytes = b"", message_id: str | None = None) -> SignedCall:
    """Return the headers of a call: of a message of its own, when no id is given."""
    message_id = message_id or f"msg_{next(_numbers)}"
    timestamp = str(int(at.timestamp()))
    return SignedCall(message_id, timestamp, sign(secret, message_id, timestamp, body))


def headers_of(call: SignedCall) -> dict[str, str]:
    """Return the headers as they are sent."""
    return {
        "webhook-id": call.message_id,
        "webhook-timestamp": call.timestamp,
        "webhook-signature": call.signature,
    }
