"""Files and directories that Python code opens, lists, makes, changes and removes, as the audit events tell.

A handler does as little as it can: it keeps the path as it was given and makes it absolute. Code that is not
Python's (pyarrow, HDF5) raises no such events; `directory` sees what it writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from respawn_kernels.evidence.audit import Handler, calling_frame

MAX_PATHS = 4_000
_READS = {
    "os.scandir": ((0, None),),
    "os.walk": ((0, None),),
    "os.getxattr": ((0, None),),
    "os.listxattr": ((0, None),),
    "os.rename": ((0, 2),),
    "os.link": ((0, 2),),
    "os.symlink": ((0, None),),
    "sqlite3.connect": ((0, None),),
    "ctypes.dlopen": ((0, None),),
}
"""Which arguments of an event are paths that are read, and which the directories they are relative to."""
_WRITES = {
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.lchown": ((0, None),),
    "os.utime": ((0, 3),),
    "os.setxattr": ((0, None),),
    "os.removexattr": ((0, None),),
    "shutil.rmtree": ((0, 1),),
    "sqlite3.connect": ((0, None),),
}
_IMPORT_SYSTEM = ("importlib", "_frozen_importlib", "zipimport", "pkgutil")
_NOT_FILES = {":memory:", b":memory:", ""}


class FileEvents:
    """The paths of one cell."""

    def __init__(self) -> None:
        self.opened: dict[str, None] = {}
        self.written: dict[str, None] = {}
        self.overflow = False

    def clear(self) -> None:
        """Forget all paths."""
        self.opened, self.written, self.overflow = {}, {}, False

    def handlers(self) -> dict[str, Handler]:
        """Return what to call for which event."""
        found = {event: self._handler(event) for event in {*_READS, *_WRITES}}
        return {**found, "open": self._open, "os.listdir": self._listdir}

    def _listdir(self, arguments: tuple[Any, ...]) -> None:
        # The import system lists each directory of the path to find modules, whatever else is in there.
        caller = calling_frame()
        if caller is None or not str(caller.f_globals.get("__name__")).startswith(_IMPORT_SYSTEM):
            self._add(self.opened, arguments[0])

    def _open(self, arguments: tuple[Any, ...]) -> None:
        if len(arguments) != 3 or type(arguments[0]) is int:  # a descriptor was opened before
            return
        flags = arguments[2] if type(arguments[2]) is int else 0
        if not flags & os.O_WRONLY or flags & os.O_APPEND:
            self._add(self.opened, arguments[0])
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            self._add(self.written, arguments[0])

    def _handler(self, event: str) -> Handler:
        reads, writes = _READS.get(event, ()), _WRITES.get(event, ())

        def handle(arguments: tuple[Any, ...]) -> None:
            for places, add in ((reads, self._add_opened), (writes, self._add_written)):
                for place, relative_to in places:
                    if place < len(arguments):
                        known = relative_to is not None and relative_to < len(arguments)
                        add(arguments[place], arguments[relative_to or 0] if known else None)

        return handle

    def _add_opened(self, path: Any, directory: Any) -> None:
        self._add(self.opened, path, directory)

    def _add_written(self, path: Any, directory: Any) -> None:
        self._add(self.written, path, directory)

    def _add(self, paths: dict[str, None], given: Any, directory: Any = None) -> None:
        if len(paths) >= MAX_PATHS:
            self.overflow = True
            return
        path = _as_text(given)
        if path is None:
            self.overflow = True
        elif path not in _NOT_FILES:
            if not path.startswith("/"):
                path = f"{_directory(directory)}/{path}"
            paths[path] = None


def _as_text(path: Any) -> str | None:
    """Return a path as text; None when telling it would call code of the notebook's."""
    kind = type(path)
    if kind is str:
        return path  # type: ignore[no-any-return]
    if kind is bytes:
        return os.fsdecode(path)
    if kind is int:
        return _quietly(os.readlink, f"/proc/self/fd/{path}")
    if path is None:
        return _quietly(os.getcwd)
    if kind.__module__.partition(".")[0] in ("pathlib", "posix", "os"):
        return os.fsdecode(os.fspath(path))
    return None


def _directory(descriptor: Any) -> str:
    if type(descriptor) is int and descriptor >= 0:
        return _quietly(os.readlink, f"/proc/self/fd/{descriptor}")
    return _quietly(os.getcwd)


def _quietly(ask: Callable[..., str], *arguments: Any) -> str:
    try:
        return ask(*arguments)
    except OSError:  # it is gone; the notebook's own call will say so
        return ""
