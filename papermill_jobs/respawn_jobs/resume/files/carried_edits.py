"""Carried files that are others than those of the run: each is an edit of the cells that used it.

The runner lays these files out itself, so what counts is what the two versions carry, and no look at a disk.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from respawn_jobs.model.runs import CellRecord
from respawn_jobs.resume.files.named_files import may_name

_CHILD = "process"
"""What evidence says of a cell that has started a process, whose files are not watched."""
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
        unknown = evidence is None or evidence.overflow
        for path, kind in self.files.items():
            place = f"{self.directory}/{path}"
            touched = place in seen or (kind != "changed" and str(PurePath(place).parent) in seen)
            if touched or unknown or may_name(source, self.directory, place):
                found[path] = f"{path} {_DID[kind]}"
            elif evidence is not None and _CHILD in evidence.outside:
                found[path] = f"{path} {_DID[kind]}, and a process that it started may have used it"
        for module, names in self.naming.items():
            if f"{self.directory}/{module}" in seen and not found.keys() >= set(names):
                found[module] = f"{', '.join(names)}, which {module} names, {_DID[self.files[names[0]]]}"
        return found

    def unused(self, used: Collection[str], texts: Iterable[str]) -> list[str]:
        """Return, in words, the edits of files that no cell which runs has to do with, as far as can be seen.

        Args:
            used: paths of those that concern cells which run.
            texts: the sources of all cells that run.
        """
        sources = list(texts)
        return [
            f"{path} {_DID[kind]}"
            for path, kind in sorted(self.files.items())
            if path not in used and not any(_mentions(one, path) for one in sources)
        ]


def _mentions(source: str, path: str) -> bool:
    """Return whether a cell's source has the name of a file, or that of the module in it."""
    name = PurePath(path)
    module = name.suffix == ".py" and re.search(rf"\b{re.escape(name.stem)}\b", source) is not None
    return module or name.name in source


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
