"""Sizes for people, in powers of 1024: the one place where they are written and read."""

from __future__ import annotations

import re

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_MAX_DIGITS = 3
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?) ?(?:([KMGTkmgt])(?:i?[Bb])?|[Bb])?")


def how_large(count: float) -> str:
    """Return a size with three digits at most where it is no whole number: "12 B", "438 MiB", "1.54 GiB".

    Args:
        count: how many bytes.
    """
    value = float(count)
    for unit in _UNITS:
        decimals = 0 if unit == "B" else max(_MAX_DIGITS - len(str(int(value))), 0)
        rounded = round(value, decimals)
        if rounded < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{rounded:,.10g} {unit}"


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `800M`, `8G` or `1.5 GiB`.

    All units are powers of 1024, however they are written; a number without one is of bytes.

    Args:
        text: the size.

    Raises:
        ValueError: it is no size, or larger than any that can be.
    """
    found = _SIZE.fullmatch(text.strip())
    unit = 1024 ** (1 + "KMGT".index(found[2].upper())) if found is not None and found[2] else 1
    size = int(float(found[1]) * unit) if found is not None else -1
    if not 0 <= size < 2**63:
        raise ValueError(f"{text[:40]!r} is no size, such as 800M or 8G")
    return size
