"""Many values in pieces: databases limit how many one query may have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
AT_ONCE = 500
"""Values that one query may name."""


def in_pieces(values: Sequence[T], size: int | None = None) -> Iterator[Sequence[T]]:
    """Yield values in pieces that one query can take."""
    most = AT_ONCE if size is None else size
    for start in range(0, len(values), most):
        yield values[start : start + most]
