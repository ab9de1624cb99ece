"""Identifiers: a short prefix that tells what is named, and ten random characters.

The characters are Crockford's base 32 in lower case (no i, l, o, u), so an id can be read aloud and typed.
Ids are random, not ordered: nothing may sort by them.
"""

from __future__ import annotations

import re
import secrets
from typing import Literal

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 10

Kind = Literal["run", "att", "job", "ver", "sch", "dep", "hok", "sen", "bfl", "rep", "bak", "srv"]


def new_id(kind: Kind) -> str:
    """Return a fresh id such as `run-7k3v9x0m2q` (50 random bits)."""
    return f"{kind}-" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def is_id(kind: Kind, text: str) -> bool:
    """Return whether `text` has the form of an id of this kind."""
    return re.fullmatch(rf"{kind}-[{_ALPHABET}]{{{_LENGTH}}}", text) is not None
