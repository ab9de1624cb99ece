"""What a run did to the files that it changed: what lay there before it, and what lies there since."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum

from respawn_jobs.dataflow.observation import file_of
from respawn_jobs.model.evidence import GONE
from respawn_jobs.model.runs import CellRecord
from respawn_jobs.resume.invalidation.file_changes import Look
from respawn_kernels.cell_code.shell_commands import commands_of
from respawn_kernels.evidence import CellEvidence

_MAX_NAMED = 3
_State = tuple[int, int]


class Fate(Enum):
    """What became of a file in a run."""

    LEFT = "left"
    """It was changed; whether it was there before is not known."""
    MADE = "made"
    """It was not there before."""
    CHANGED = "changed"
    """It was there before and is there after."""
    REMOVED = "removed"
    """It was there before and is gone."""
    NONE = "none"
    """It lies there, or does not, as before: the run removed it, or somebody has put things right since."""

    @property
    def did(self) -> str:
        """What a cell did, in a sentence."""
        return "left" if self is Fate.MADE else self.value


def fates_of(
    cells: Iterable[CellRecord],
    directory: str | None,
    look: Look | None = None,
    reused: Collection[int] = (),
    since: Iterable[CellRecord] = (),
) -> dict[str, Fate]:
    """Return, by the names of files, what became of each where that is known.

    Args:
        cells: the records of a run, in the order in which they ran.
        directory: where it ran; None when that is not known.
        look: tells files as they are now; None where they cannot be seen.
        reused: indices of cells that are reused: what they made a run from the top has, too.
        since: the records of cells that were executed after them.
    """
    first: dict[str, _State | None] = {}
    last: dict[str, _State | None] = {}
    counted = [*((cell, cell.index not in reused) for cell in cells), *((cell, True) for cell in since)]
    for cell, counts in counted:
        if cell.evidence is None:
            continue
        found = {path: (size, at) for path, size, at in cell.evidence.found}
        after = {path: (size, at) for path, size, at in cell.evidence.outputs}
        for path in cell.evidence.written:
            if counts:
                first.setdefault(path, found.get(path))
            last[path] = after.get(path)
    return {
        file_of(path, directory): _fate(before, last[path], look(path) if look is not None else last[path])
        for path, before in first.items()
    }


def _fate(before: _State | None, after: _State | None, now: _State | None) -> Fate:
    if before is None:
        return Fate.LEFT
    if before == GONE:
        return Fate.NONE if now == GONE else Fate.MADE
    if now is not None and now != after and now[0] == before[0]:
        return Fate.NONE
    return Fate.REMOVED if after == GONE else Fate.CHANGED


def describe_unseen_files(cells: Iterable[tuple[str, str, CellEvidence | None]]) -> list[str]:
    """Say of which cells that run again nobody saw what their commands changed in the run before.

    Args:
        cells: of each its name, its source, and what was seen of it when it ran.
    """
    found = []
    for name, source, seen in cells:
        if seen is None or seen.files_unwatched is None or "process" not in seen.outside:
            continue
        if programs := sorted(commands_of(source).programs)[:_MAX_NAMED]:
            found.append(
                f"{name} runs {', '.join(programs)} again, and what that changed in the run before was not "
                f"seen: {seen.files_unwatched}; put back what it needs as it was, or restart the run"
            )
    return found
