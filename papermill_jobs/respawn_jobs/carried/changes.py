"""What differs between the files of two versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from respawn_jobs.api.versions import FileChange, Place
from respawn_jobs.model.jobs import CarriedFile

Files = Sequence[CarriedFile] | None
"""Of a version; None for one whose runs work where the notebook lay."""
_MAX_NAMED = 6


def files_of(column: Sequence[Any] | None) -> list[CarriedFile] | None:
    """Return what a version carries, from what is stored of it."""
    return None if column is None else [CarriedFile.model_validate(one) for one in column]


def same_files(one: Files, other: Files) -> bool:
    """Return whether two versions carry the same, whenever it was changed."""
    if one is None or other is None:
        return one is other
    return _keys(one) == _keys(other)


def file_changes(old: Files, new: Files) -> list[FileChange]:
    """Return the files that differ, by path.

    Args:
        old: those of the version that the changes start from.
        new: those of the version that they lead to.
    """
    before, after = _keys(old or ()), _keys(new or ())
    found = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        kind: Literal["added", "removed", "changed"] = "changed"
        if path not in before or path not in after:
            kind = "added" if path not in before else "removed"
        found.append(FileChange(path=path, kind=kind))
    return found


def changed_places(old: Files, new: Files) -> tuple[Place, Place] | None:
    """Return where runs of two versions work, where that differs.

    Args:
        old: what the version carries that the changes start from.
        new: what the other one carries.
    """
    places = _place(old), _place(new)
    return places if places[0] != places[1] else None


def files_lacking(base: Files, fixed: Files, files: Files) -> list[str]:
    """Return the files that a fix has changed, and that are otherwise in what is promoted now.

    Args:
        base: what the version carries that the fix was made from.
        fixed: what the fix carries.
        files: what is promoted.
    """
    if base is None or fixed is None:
        return []
    now, right = _keys(files or ()), _keys(fixed)
    return [one.path for one in file_changes(base, fixed) if now.get(one.path) != right.get(one.path)]


def in_words(changes: Sequence[FileChange]) -> str:
    """Return what became of files, a few of many."""
    named = [f"{one.path} {one.kind}" for one in changes[:_MAX_NAMED]]
    more = [f"{len(changes) - _MAX_NAMED} more"] if len(changes) > _MAX_NAMED else []
    return ", ".join([*named, *more])


def _place(files: Files) -> Place:
    return "notebook" if files is None else "own"


def _keys(files: Sequence[CarriedFile]) -> dict[str, tuple[str, bool]]:
    return {one.path: (one.digest, one.executable) for one in files}
