"""Files that reused cells have read or made: what is reused holds while they are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePath

from respawn_jobs.evidence import DIRECTORY, GONE
from respawn_jobs.models import CellRecord

Look = Callable[[str], tuple[int, int]]
"""Returns size and time of the last change of a file, in nanoseconds, `DIRECTORY` or `GONE`."""
_MOST_TOLD = 3
_IS_GONE = " is gone"


def outer_inputs(cells: Iterable[CellRecord]) -> dict[int, dict[str, tuple[int, int]]]:
    """Return, for each cell by its index, the files that it read and that no cell wrote, as they were."""
    records = [cell for cell in cells if cell.evidence is not None]
    made = {path for cell in records if cell.evidence for path in cell.evidence.written}
    return {
        cell.index: {path: (size, at) for path, size, at in cell.evidence.inputs if path not in made}
        for cell in records
        if cell.evidence is not None and cell.evidence.inputs
    }


def changed_outputs(cells: Iterable[CellRecord], look: Look) -> dict[str, str]:
    """Return files that are not as the last cell which wrote them left them, and what has become of each.

    Temporary directories go with the kernel that made them; the next run of a job may write the same file.
    """
    written: dict[str, tuple[int, int]] = {}
    for cell in cells:
        if cell.evidence is not None:
            # Where more was written than is kept, nobody knows how it was left.
            written = {path: one for path, one in written.items() if path not in cell.evidence.written}
            written |= {path: (size, at) for path, size, at in cell.evidence.outputs}
    told = {path: told_change(path, before, look(path)) for path, before in written.items()}
    return {path: change for path, change in told.items() if change is not None}


def told_change(path: str, before: tuple[int, int], now: tuple[int, int]) -> str | None:
    """Return what has become of a file, in words; None when it is as it was."""
    name = PurePath(path).name
    if now == before:
        return None
    if now == GONE:
        return f"{name}{_IS_GONE}"
    if GONE in (before, now) or DIRECTORY in (before, now):
        return f"{name} is there again" if before == GONE else f"{name} is something else"
    size = f" (had {before[0]:,} bytes, has {now[0]:,})" if now[0] != before[0] else ""
    return f"{name} has changed since{size}"


def says_gone(told: str) -> bool:
    """Tell whether what has become of a file is that it is gone."""
    return told.endswith(_IS_GONE)


def changed_inputs(files: dict[str, tuple[int, int]], look: Look) -> list[str]:
    """Return what has become of files that are not as they were, in words, a few of many."""
    told = [change for path, before in files.items() if (change := told_change(path, before, look(path)))]
    more = len(told) - _MOST_TOLD
    return told if more <= 0 else [*told[:_MOST_TOLD], f"{more} more files have changed"]
