"""Which memory of this process others may write to, too (MAP_SHARED, mmap(2)): a fork does not freeze it."""

from __future__ import annotations

import bisect
from pathlib import Path

_frozen: list[tuple[int, int]] | None = None


def look() -> None:
    """Learn what is shared now; for a forked child, where it matters. Without /proc nothing is known."""
    global _frozen
    found = []
    try:
        lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        place, rights, *_ = line.split(maxsplit=2)
        if rights[1] == "w" and rights[3] == "s":
            start, end = (int(part, 16) for part in place.split("-"))
            found.append((start, end))
    _frozen = sorted(found)


def is_shared(address: int) -> bool:
    """Return whether an address lies in shared memory; False where `look` was not called."""
    if not _frozen:
        return False
    place = bisect.bisect_right(_frozen, (address, 1 << 64)) - 1
    return place >= 0 and _frozen[place][0] <= address < _frozen[place][1]
