"""Files and directories that Python code opens, lists, makes, changes and removes, from its audit events.

A handler does as little as it can: paths are kept as they were given, and made absolute at the end of the
cell or when the working directory changes. Code that is not Python's (pyarrow, HDF5) raises no such events;
`run_directory` sees what it writes.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from typing import Any

from respawn_kernels.evidence.audit_hook import Handler, current_frame
from respawn_kernels.normal_path import normal_path
from respawn_kernels.originals import is_directory

MAX_PATHS = 2_000
_READS = {
    "os.scandir": ((0, None),),
    "os.walk": ((0, None),),
    "os.getxattr": ((0, None),),
    "os.listxattr": ((0, None),),
    "os.rename": ((0, 2),),
    "os.link": ((0, 2),),
    "os.symlink": ((0, None),),
    "os.truncate": ((0, None),),
    "sqlite3.connect": ((0, None),),
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
}
_MAY_WRITE = {"sqlite3.connect": ((0, None),)}
"""Events after which a file may be written; whether it was is seen by comparing it with what it was."""
_MAKES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_IMPORT_SYSTEM = ("importlib", "_frozen_importlib", "zipimport", "pkgutil")
_NOT_FILES = {":memory:", b":memory:", ""}


class FileEvents:
    """The paths of one cell, absolute."""

    def __init__(self) -> None:
        self.overflow = False
        self._opened: dict[str, None] = {}
        self._written: dict[str, None] = {}
        self._opened_to_write: dict[str, None] = {}
        self._opened_to_change: dict[str, None] = {}
        self._maybe_written: dict[str, None] = {}

    def clear(self) -> None:
        """Forget all paths."""
        # In place: handlers hold these very dictionaries.
        self._opened.clear()
        self._written.clear()
        self._opened_to_write.clear()
        self._opened_to_change.clear()
        self._maybe_written.clear()
        self.overflow = False

    @property
    def opened(self) -> set[str]:
        """What was read or looked at."""
        return _absolute(self._opened) | _no_directories(self._opened_to_change)

    @property
    def written(self) -> set[str]:
        """What was made, changed or removed."""
        opened = _no_directories({**self._opened_to_write, **self._opened_to_change})
        return _absolute(self._written) | opened

    @property
    def maybe_written(self) -> set[str]:
        """What was opened in a way that allows changing it."""
        return _absolute(self._maybe_written)

    def look(self, path: Any) -> None:
        """Note that a path was looked at; one that is no path is passed over."""
        if isinstance(path, (str, bytes, int)) or hasattr(type(path), "__fspath__"):
            self._add(self._opened, path)

    def handlers(self) -> dict[str, Handler]:
        """Return what to call for which event."""
        found = {event: self._handler(event) for event in {*_READS, *_WRITES, *_MAY_WRITE}}
        others = {
            "open": self._on_open(),
            "os.listdir": self._listdir,
            "os.chdir": self._chdir,
            "ctypes.dlopen": self._dlopen,
        }
        return {**found, **others}

    def _on_open(self) -> Handler:
        opened, written, add = self._opened, self._written, self._add
        to_write, to_change = self._opened_to_write, self._opened_to_change

        def opens(arguments: tuple[Any, ...]) -> None:
            if len(arguments) != 3:
                return
            path, _, flags = arguments
            kind = type(path)
            if kind is int:  # a descriptor was opened before
                return
            makes = type(flags) is int and flags & _MAKES
            paths = opened if not makes else to_write if _only_writes(flags) else to_change
            if kind is str and path in paths:
                return
            if makes and len(paths) >= MAX_PATHS:
                for one in (written,) if paths is to_write else (opened, written):
                    add(one, path)
            else:
                add(paths, path)

        return opens

    def _listdir(self, arguments: tuple[Any, ...]) -> None:
        # The import system lists each directory of the path to find modules, whatever else is in there.
        caller = current_frame().f_back.f_back  # the handler, the hook, who caused the event
        if arguments and not str(caller.f_globals.get("__name__")).startswith(_IMPORT_SYSTEM):
            self._add(self._opened, arguments[0])

    def _dlopen(self, arguments: tuple[Any, ...]) -> None:
        if arguments and type(arguments[0]) is str and "/" in arguments[0]:  # else the system looks for it
            self._add(self._opened, arguments[0])

    def _chdir(self, _arguments: tuple[Any, ...]) -> None:
        kept = (self._opened, self._written, self._maybe_written)
        for paths in (*kept, self._opened_to_write, self._opened_to_change):
            found = _absolute(paths)
            paths.clear()
            paths.update(dict.fromkeys(found))

    def _handler(self, event: str) -> Handler:
        kinds = (
            (_READS.get(event, ()), self._opened),
            (_WRITES.get(event, ()), self._written),
            (_MAY_WRITE.get(event, ()), self._maybe_written),
        )

        def handle(arguments: tuple[Any, ...]) -> None:
            for places, paths in kinds:
                for place, relative_to in places:
                    if place < len(arguments):
                        known = relative_to is not None and relative_to < len(arguments)
                        self._add(paths, arguments[place], arguments[relative_to or 0] if known else None)

        return handle

    def _add(self, paths: dict[str, None], given: Any, directory: Any = None) -> None:
        path = given if type(given) is str else _as_text(given)
        if path is not None and len(paths) >= MAX_PATHS:  # the directory stands for all that lies in it
            path = posixpath.dirname(path) or "."
        if path is None or len(paths) >= 2 * MAX_PATHS:
            self.overflow = True
        elif path not in _NOT_FILES:
            if type(directory) is int and directory >= 0 and not path.startswith("/"):
                path = f"{_of_descriptor(directory)}/{path}"
            paths[path] = None


def _only_writes(flags: int) -> bool:
    return bool(flags & os.O_WRONLY) and not flags & os.O_APPEND


def _no_directories(paths: dict[str, None]) -> set[str]:
    """Return paths that were opened to be written, absolute, without directories.

    Nobody writes a directory by opening it: `tempfile` opens one to make a file in it.
    """
    return {path for path in _absolute(paths) if not is_directory(path)}


def _absolute(paths: dict[str, None]) -> set[str]:
    here = _quietly(os.getcwd)
    return {normal_path(path if path.startswith("/") else f"{here}/{path}") for path in list(paths)}


def _as_text(path: Any) -> str | None:
    """Return a path as text; None when converting it would call code of the notebook."""
    kind = type(path)
    if kind is bytes:
        return os.fsdecode(path)
    if kind is int:
        return _of_descriptor(path)
    if path is None:
        return _quietly(os.getcwd)
    if kind.__module__.partition(".")[0] in ("pathlib", "posix", "os"):
        return os.fsdecode(os.fspath(path))
    return None


def _of_descriptor(descriptor: int) -> str:
    return _quietly(os.readlink, f"/proc/self/fd/{descriptor}")


def _quietly(ask: Callable[..., str], *arguments: Any) -> str:
    try:
        return ask(*arguments)
    except OSError:  # it is gone; the notebook's own call will say so
        return ""
