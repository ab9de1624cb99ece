"""Files that reused cells have read and no cell has made: what is reused holds while they are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePath

from respawn_jobs.models import CellRecord

Look = Callable[[str], tuple[int, int] | None]
"""Returns size and time of the last change of a file, in nanoseconds; None when there is none."""
_MOST_TOLD = 3


def outer_inputs(cells: Iterable[CellRecord]) -> dict[int, dict[str, tuple[int, int]]]:
    """Return, for each cell by its index, the files that it read and that no cell wrote, as they were."""
    records = [cell for cell in cells if cell.evidence is not None]
    made = {path for cell in records if cell.evidence for path in cell.evidence.written}
    return {
        cell.index: {path: (size, at) for path, size, at in cell.evidence.inputs if path not in made}
        for cell in records
        if cell.evidence is not None and cell.evidence.inputs
    }


def told_change(path: str, before: tuple[int, int], now: tuple[int, int] | None) -> str | None:
    """Return what has become of a file, in words; None when it is as it was."""
    name = PurePath(path).name
    if now is None:
        return f"{name} is gone"
    if now == before:
        return None
    size = f" (had {before[0]:,} bytes, has {now[0]:,})" if now[0] != before[0] else ""
    return f"{name} has changed since{size}"


def changed_inputs(files: dict[str, tuple[int, int]], look: Look) -> list[str]:
    """Return what has become of files that are not as they were, in words, a few of many."""
    told = [change for path, before in files.items() if (change := told_change(path, before, look(path)))]
    more = len(told) - _MOST_TOLD
    return told if more <= 0 else [*told[:_MOST_TOLD], f"{more} more files have changed"]
