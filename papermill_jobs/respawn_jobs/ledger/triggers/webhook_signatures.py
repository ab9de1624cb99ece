"""Signatures of calls, by the specification Standard Webhooks (https://www.standardwebhooks.com).

Senders have libraries for them in most languages.

    webhook-id: <one id for each message, the same when it is sent again>
    webhook-timestamp: <Unix seconds>
    webhook-signature: v1,<base64 of HMAC-SHA256(key, id + "." + timestamp + "." + body)>

There may be several signatures, divided by spaces.

A secret is `whsec_` and the key in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime

from respawn_jobs.errors import Unauthenticated

WINDOW_SECONDS = 300
"""How far a call's timestamp may be from the service's time."""
PREFIX = "whsec_"
_VERSION = "v1,"
_ID = re.compile(r"[0-9A-Za-z_:-]{1,128}")
"""Without a full stop: else a signature for one id and timestamp would be one for others."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MAX_SIGNATURES = 10
_FORM = (
    "a call needs the headers webhook-id (letters, digits, _ - :), webhook-timestamp (Unix seconds) and "
    "webhook-signature (v1,<base64>), as Standard Webhooks has them"
)


@dataclass(frozen=True)
class SignedCall:
    """The headers of a call; empty where one is missing."""

    message_id: str
    timestamp: str
    signature: str
    """One signature or more, divided by spaces."""

    def check_form(self, now: datetime) -> None:
        """Raise `Unauthenticated` for a call that is not signed, or was not signed just now."""
        signed = any(one.startswith(_VERSION) for one in self._signatures())
        if not (signed and _ID.fullmatch(self.message_id) and _TIMESTAMP.fullmatch(self.timestamp)):
            raise Unauthenticated(f"{_FORM}; one is missing or has another form")
        if abs(now.timestamp() - int(self.timestamp)) > WINDOW_SECONDS:
            raise Unauthenticated(
                f"the call's timestamp {self.timestamp} is more than {WINDOW_SECONDS} seconds from the "
                f"service's time, {int(now.timestamp())}; sign each call when it is sent, and set the "
                "sender's clock"
            )

    def is_signed_with(self, secret: str, body: bytes) -> bool:
        """Return whether one of the signatures is that of a secret."""
        expected = sign(secret, self.message_id, self.timestamp, body).encode()
        # The digest of what a stranger sends has one length; compare_digest tells nothing else.
        matching = [hmac.compare_digest(expected, one.encode()) for one in self._signatures()]
        return any(matching)

    def _signatures(self) -> list[str]:
        return self.signature.split()[:_MAX_SIGNATURES]


def secret_of(key: bytes) -> str:
    """Return a key as senders are given it."""
    return PREFIX + base64.b64encode(key).decode()


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a call.

    The signature is an HMAC (RFC 2104) with SHA-256.

    Args:
        secret: As `secret_of` writes it.
        message_id: The header `webhook-id`.
        timestamp: Unix seconds, in digits.
        body: The call's body, byte for byte.

    Raises:
        ValueError: the secret is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a secret is whsec_ and base64") from error
    content = f"{message_id}.{timestamp}.".encode() + body
    return _VERSION + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
