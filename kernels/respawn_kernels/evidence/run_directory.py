"""What changed in the run's directory, whoever wrote it: Arrow, HDF5 and their like raise no audit event.

It also looks at files elsewhere that cells have opened before. A look is bounded; a directory with more files
than that is not looked at, and the record says so. Hidden directories are passed over, and notebooks: the
run's own output may lie there, and it grows from cell to cell.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable

MAX_ENTRIES = 500
MAX_SECONDS = 0.02
_MAX_KNOWN = 300
_PASSED_OVER = frozenset({"__pycache__", "node_modules"})

Seen = dict[str, tuple[int, int, int]]


class RunDirectory:
    """The files of the run's directory as they were at the last look.

    Args:
        root: the directory.
        keep: returns the path to tell of for a path, or None for a file that is nobody's.
        clock: seconds that pass.
    """

    def __init__(
        self, root: str, keep: Callable[[str], str | None], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.why_not: str | None = None
        self._root = root
        self._keep = keep
        self._clock = clock
        self._elsewhere: dict[str, None] = {}
        self._seen: Seen | None = None

    def begin(self) -> None:
        """Look for the first time, unless that was done."""
        if self._seen is None:
            self._seen = {}
            self.changes()

    def know(self, paths: Iterable[str]) -> None:
        """Look at these files, too, from now on; the latest ones if there are many."""
        self._seen = {} if self._seen is None else self._seen
        for path in paths:
            if not path.startswith(f"{self._root}/"):
                self._elsewhere.pop(path, None)
                self._elsewhere[path] = None
                if path not in self._seen and (found := _look(path)) is not None:
                    self._seen[path] = found
        while len(self._elsewhere) > _MAX_KNOWN:
            self._elsewhere.pop(next(iter(self._elsewhere)))

    def changes(self) -> set[str]:
        """Return the paths of files that were made, changed or removed since the last look."""
        now: Seen = {}
        before = self._seen or {}
        if self.why_not is None:
            self.why_not = self._walk(now)
            if self.why_not is not None:
                now = {}
                before = {path: found for path, found in before.items() if path in self._elsewhere}
        for path in self._elsewhere:
            if (found := _look(path)) is not None:
                now[path] = found
        self._seen = now
        return {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}

    def _walk(self, seen: Seen) -> str | None:
        """Look at every file below the root; return why not, when there are too many."""
        start, entries = self._clock(), 0
        todo = [self._root]
        while todo:
            try:
                with os.scandir(todo.pop()) as found:
                    for entry in found:
                        entries += 1
                        if entries > MAX_ENTRIES or self._clock() - start > MAX_SECONDS:
                            return f"more than {MAX_ENTRIES} files, or too slow a disk"
                        if entry.is_dir(follow_symlinks=False):
                            if entry.name[0] != "." and entry.name not in _PASSED_OVER:
                                todo.append(entry.path)
                            continue
                        path = self._keep(entry.path)
                        if path is None or path.endswith(".ipynb"):
                            continue
                        if (status := _look(entry.path)) is not None:
                            seen[path] = status
            except OSError:  # it was removed just now, or is not to be read
                continue
        return None


def _look(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
