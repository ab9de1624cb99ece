"""Carried files that are others than those of the run: each is an edit of the cells that used it.

The runner lays these files out itself, so what counts is what the two versions carry, and no look at a disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from respawn_jobs.model.runs import CellRecord
from respawn_jobs.resume.files.named_files import may_name

_DID = {"changed": "was edited", "added": "is new", "removed": "is gone"}


@dataclass(frozen=True)
class CarriedEdits:
    """What the version that goes on carries otherwise."""

    directory: str
    """The directory of its own in which the run worked."""
    files: Mapping[str, str]
    """By path below it, what became of a file: `changed`, `added` or `removed`."""
    naming: Mapping[str, Sequence[str]]
    """By path of a module that is carried, the files among these, other than modules, that its text names."""

    def of(self, source: str, record: CellRecord) -> dict[str, str]:
        """Return the edits that concern a cell, in words, by the path of what the cell had to do with.

        Args:
            source: the cell's source.
            record: what was recorded of it.
        """
        found: dict[str, str] = {}
        evidence = record.evidence
        seen = {*evidence.opened, *evidence.written} if evidence is not None else set()
        for path, kind in self.files.items():
            place = f"{self.directory}/{path}"
            touched = place in seen or (kind != "changed" and str(PurePath(place).parent) in seen)
            unknown = evidence is None or evidence.overflow
            if touched or unknown or may_name(source, self.directory, place):
                found[path] = f"{path} {_DID[kind]}"
        for module, names in self.naming.items():
            if f"{self.directory}/{module}" in seen and not found.keys() >= set(names):
                found[module] = f"{', '.join(names)}, which {module} names, {_DID[self.files[names[0]]]}"
        return found


def edited_of(
    directory: str | None, files: Mapping[str, str], texts: Mapping[str, str]
) -> CarriedEdits | None:
    """Return what a version carries otherwise than the one that ran; None where nothing is.

    Args:
        directory: the directory of its own in which the run worked; None where that is not known.
        files: by path what became of a file.
        texts: by path the sources of the modules that are carried, before and after.
    """
    if directory is None or not files:
        return None
    others = [path for path in files if not path.endswith(".py")]
    naming = {
        module: named
        for module, text in texts.items()
        if (named := [path for path in others if PurePath(path).name in text])
    }
    return CarriedEdits(directory, dict(files), naming)
