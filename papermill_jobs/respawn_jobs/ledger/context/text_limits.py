"""What a text may be before it reaches the database, whose own refusals tell the caller nothing.

SQLite takes any length, PostgreSQL takes neither longer texts than a column holds nor NUL characters, and
no database takes half a surrogate pair.
"""

from __future__ import annotations

import re

from respawn_jobs.errors import InvalidInput
from respawn_kernels.counting import how_many

NAMESPACE = 180
"""Together with a job's name, 64 at most, it must fit the audit trail's subject."""
NAME = 255
CRON = 255
ZONE = 80

_NEVER = re.compile("[\0\ud800-\udfff]")
_DIGEST = re.compile("[0-9a-f]{64}")


def check_text(what: str, text: str, most: int | None = None) -> str:
    """Return a text that can be stored or looked up. Raises `InvalidInput` naming `what`.

    Args:
        what: what the text is, for the message.
        text: the text.
        most: characters at most; None for any length.
    """
    if _NEVER.search(text) is not None:
        raise InvalidInput(f"the {what} {text[:80]!r} holds a character that cannot be stored")
    if most is not None and len(text) > most:
        raise InvalidInput(f"the {what} has {how_many(len(text), 'character')}; {most} at most are taken")
    return text


def check_digest(digest: str) -> str:
    """Return a digest of the right form. Raises `InvalidInput`."""
    if _DIGEST.fullmatch(digest) is None:
        raise InvalidInput(f"{digest[:80]!r} is not a digest (64 hexadecimal digits)", digest=digest[:80])
    return digest


def cleaned(text: str) -> str:
    """Return a text of a runner's for people, with a mark in place of what cannot be stored."""
    return _NEVER.sub("\N{REPLACEMENT CHARACTER}", text)
