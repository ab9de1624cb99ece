"""Where modules come from: the import path."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from typing import Any

_path_before = list(sys.path)


class ImportPath:
    """`sys.path`, entry by entry in its order: a module of the same name may lie in two of them.

    Entries that the kernel began with are named by their place, for another kernel may lie elsewhere.
    """

    name = "#sys.path"
    first = True

    def fingerprint(self) -> Hashable:
        """Return the entries."""
        return hash(tuple(map(str, sys.path)))

    def capture(self) -> list[Any] | None:
        """Return the entries: a place among those at the beginning, or what was added."""
        if sys.path == _path_before:
            return None
        return [_path_before.index(entry) if entry in _path_before else entry for entry in sys.path] + [
            len(_path_before)
        ]

    def restore(self, value: list[Any], shell: Any | None) -> None:
        """Set the path; what this session has added by itself stays, at the end."""
        *entries, count = value
        now = _translated(entries, count)
        own = [entry for entry in sys.path if entry not in now and entry not in _path_before]
        sys.path[:] = [*now, *own]


def _translated(entries: list[Any], count: int) -> list[str]:
    """Return a recorded path with the entries that this kernel began with in the place of the other's."""
    if count == len(_path_before):
        return [_path_before[entry] if isinstance(entry, int) else entry for entry in entries]
    # Another installation: its own entries keep together where the first of the other's was.
    first = next((place for place, entry in enumerate(entries) if isinstance(entry, int)), len(entries))
    return [
        *(entry for entry in entries[:first]),
        *_path_before,
        *(entry for entry in entries[first:] if not isinstance(entry, int)),
    ]
