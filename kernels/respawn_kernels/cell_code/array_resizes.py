"""Whether a cell may change the size of an array in place (`a.resize(n)`); see `memory.owned_memory`."""

from __future__ import annotations

import re

_WORD = re.compile(r"\bresize\b")


def resizes(source: str) -> bool:
    """Return whether code may change the size of an array in place."""
    return _WORD.search(source) is not None
