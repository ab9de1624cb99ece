"""Files that reused cells have read or made: what is reused holds while they are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePath

from respawn_jobs.model.evidence import DIRECTORY, GONE
from respawn_jobs.model.runs import CellRecord
from respawn_kernels.counting import how_many

Look = Callable[[str], tuple[int, int]]
"""Returns size and time of the last change of a file, in nanoseconds, `DIRECTORY` or `GONE`."""
_MAX_LISTED = 3
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
    changes = {path: describe_file_change(path, before, look(path)) for path, before in written.items()}
    return {path: change for path, change in changes.items() if change is not None}


def describe_file_change(path: str, before: tuple[int, int], now: tuple[int, int]) -> str | None:
    """Return what has become of a file, in words; None when it is as it was.

    Args:
        path: the file; the message has its name alone.
        before: bytes and nanoseconds of its last change as a cell saw it, or `GONE` or `DIRECTORY`.
        now: the same as it is now.
    """
    name = PurePath(path).name
    if now == before:
        return None
    if now == GONE:
        return f"{name}{_IS_GONE}"
    if GONE in (before, now) or DIRECTORY in (before, now):
        return f"{name} is there again" if before == GONE else f"{name} is something else"
    size = f" (had {how_many(before[0], 'byte')}, has {now[0]:,})" if now[0] != before[0] else ""
    return f"{name} has changed since{size}"


def says_gone(change: str) -> bool:
    """Return whether what has become of a file is that it is gone."""
    return change.endswith(_IS_GONE)


def changed_inputs(files: dict[str, tuple[int, int]], look: Look) -> list[str]:
    """Return what has become of files that are not as they were, in words, a few of many."""
    changes = [
        change for path, before in files.items() if (change := describe_file_change(path, before, look(path)))
    ]
    more = len(changes) - _MAX_LISTED
    return (
        changes
        if more <= 0
        else [*changes[:_MAX_LISTED], f"{how_many(more, 'more file has', 'more files have')} changed"]
    )
