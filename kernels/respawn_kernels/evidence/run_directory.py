"""What changed in the run's directory, whoever wrote it: Arrow, HDF5 and their like raise no audit event.

It also looks at files elsewhere that cells have opened before. A look is bounded; a directory with more than
that is not looked at, and the record says so. Hidden files and directories are passed over, Respawn's own
store, and notebooks: the run's output may lie there, and it grows from cell to cell.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable
from itertools import islice

from respawn_kernels.exchange.cell_evidence import DIRECTORY, GONE
from respawn_kernels.originals import is_link, perf_counter, scandir, status_of

MAX_ENTRIES = 500
MAX_SECONDS = 0.25
_SLOW_SECONDS = 0.02
_MAX_SLOW = 5
"""So many slow looks in a row are the last ones; one may be slow because the machine is busy."""
_MAX_KNOWN = 300
_STORE = "respawn.db"
"""A directory with such a file is an embedded store (`RESPAWN_DATA`)."""
_BESIDE_DATABASE = ("-journal", "-wal", "-shm")
_PASSED_OVER = frozenset({"__pycache__", "node_modules"})

Seen = dict[str, tuple[int, int, int]]


class RunDirectory:
    """The files of the run's directory as they were at the last look.

    Args:
        root: absolute path of the directory.
        keep: returns the path to report for a path, or None for a file that is not reported.
        clock: returns seconds that pass.
    """

    def __init__(
        self, root: str, keep: Callable[[str], str | None], clock: Callable[[], float] = perf_counter
    ) -> None:
        self.why_not: str | None = None
        self._root = root
        self._keep = keep
        self._clock = clock
        self._elsewhere: dict[str, None] = {}
        self._seen: Seen | None = None
        self._before: Seen = {}
        self._looked_at: tuple[bool, set[str]] = (False, set())
        """Whether the look before the last was at the directory, and at which files elsewhere."""
        self._directories: tuple[set[str], set[str]] = (set(), set())
        """Those that there were at the look before the last, and at the last."""
        self._slow = 0

    def begin(self) -> None:
        """Look for the first time, unless that was done."""
        if self._seen is None:
            self._seen = {}
            self.changes()

    def know(self, paths: Iterable[str]) -> None:
        """Look at these files, too, from now on; the latest ones if there are many."""
        self._seen = {} if self._seen is None else self._seen
        for path in paths:
            if self.why_not is not None or not path.startswith(f"{self._root}/"):
                self._elsewhere.pop(path, None)
                self._elsewhere[path] = None
                if path not in self._seen and (found := _look(path)) is not None:
                    self._seen[path] = found
        while len(self._elsewhere) > _MAX_KNOWN:
            self._elsewhere.pop(next(iter(self._elsewhere)))

    @property
    def known(self) -> set[str]:
        """The files elsewhere that are looked at."""
        return set(self._elsewhere)

    def changes(self) -> set[str]:
        """Return the paths of files that were made, changed or removed since the last look."""
        now: Seen = {}
        before = self._seen or {}
        self._before = before
        self._looked_at = (self.why_not is None, self.known)
        self._directories = (self._directories[1], set())
        if self.why_not is None:
            start = self._clock()
            self.why_not = self._walk(now, start)
            self._slow = self._slow + 1 if self._clock() - start > _SLOW_SECONDS else 0
            if self._slow >= _MAX_SLOW:
                self.why_not = "the disk is too slow"
            if self.why_not is not None:
                now = {}
                before = {path: found for path, found in before.items() if path in self._elsewhere}
        for path in self._elsewhere:
            if (found := _look(path)) is not None:
                now[path] = found
        self._seen = now
        there = before.keys() | now.keys()
        return {_of_database(path, there) for path in there if before.get(path) != now.get(path)}

    def found(self, path: str) -> tuple[int, int] | None:
        """Return size and time of a file at the look before the last, `DIRECTORY` or `GONE`.

        None says that it was not looked for, or that it is neither file nor directory.
        """
        if path in self._before:
            return self._before[path][1], self._before[path][0]
        if path in self._directories[0]:
            return DIRECTORY
        directory, elsewhere = self._looked_at
        looked_at = path in elsewhere or (directory and self._is_looked_at(path))
        return GONE if looked_at and not is_link(path) else None

    def _is_looked_at(self, path: str) -> bool:
        parts = path.removeprefix(f"{self._root}/").split("/")
        hidden = any(part[:1] == "." or part in _PASSED_OVER for part in parts)
        return path.startswith(f"{self._root}/") and not hidden and not path.endswith(".ipynb")

    def _walk(self, seen: Seen, start: float) -> str | None:
        """Look at every file below the root; return why not, when there are too many."""
        count = 0
        todo = [self._root]
        while todo:
            directory = todo.pop()
            try:
                with scandir(directory) as found:
                    shown = (entry for entry in found if entry.name[0] != ".")
                    entries = list(islice(shown, MAX_ENTRIES + 1))
                for entry in _without_store(entries, at_root=directory == self._root):
                    count += 1
                    if count > MAX_ENTRIES:
                        return f"there are more than {MAX_ENTRIES} files"
                    if self._clock() - start > MAX_SECONDS:
                        return "the disk is too slow"
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in _PASSED_OVER:
                            todo.append(entry.path)
                            self._directories[1].add(entry.path)
                        continue
                    path = self._keep(entry.path)
                    if path is not None and not path.endswith(".ipynb") and (status := _look(entry.path)):
                        seen[path] = status
            except OSError:  # it was removed just now, or is not to be read
                continue
        return None


def _without_store(entries: list[os.DirEntry[str]], *, at_root: bool) -> list[os.DirEntry[str]]:
    """Leave out Respawn's own store, which may lie in the run's directory and changes during a run."""
    if not any(entry.name == _STORE for entry in entries):
        return entries
    if not at_root:
        return []
    return [entry for entry in entries if not entry.name.startswith(_STORE) and entry.name != "blobs"]


def _of_database(path: str, there: Collection[str]) -> str:
    """Return the database for a file that SQLite keeps beside it for a while (sqlite.org/tempfiles.html)."""
    for end in _BESIDE_DATABASE:
        if path.endswith(end) and path.removesuffix(end) in there:
            return path.removesuffix(end)
    return path


def _look(path: str) -> tuple[int, int, int] | None:
    try:
        status = status_of(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
