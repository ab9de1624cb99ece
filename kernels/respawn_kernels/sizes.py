"""A number of bytes for people, in powers of 1024: the one place where sizes are written."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB")
_MAX_DIGITS = 3


def how_large(count: float) -> str:
    """Return a size with three digits at most where it is no whole number: "12 B", "438 MiB", "1.54 GiB".

    Args:
        count: how many bytes.
    """
    value = float(count)
    for unit in _UNITS:
        decimals = 0 if unit == "B" else max(_MAX_DIGITS - len(str(int(value))), 0)
        rounded = round(value, decimals)
        if rounded < 1024:
            return f"{rounded:,.10g} {unit}"
        value /= 1024
    return f"{round(value, 1):,.10g} TiB"
