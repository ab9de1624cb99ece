"""Which paths are worth a record: the notebook's files, not those that Python, libraries and we live on."""

from __future__ import annotations

import os
import posixpath
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from respawn_kernels.normal_path import normal_path
from respawn_kernels.originals import getpid

_SYSTEM = ("/proc", "/sys", "/dev", "/usr/lib", "/usr/share", "/lib", "/lib64", "/etc/ssl", "/etc/localtime")
_PROGRAMS = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
_IN_HOME = (".cache", ".matplotlib", ".config/matplotlib", ".ipython", ".jupyter", ".local/share/jupyter")
_VARIABLES = ("MPLCONFIGDIR", "XDG_CACHE_HOME", "IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
_COMPILED = re.compile(r"/__pycache__/([^/]+?)\.[^/.]+(?:\.opt-\d)?\.pyc$")


class Paths:
    """Decides which paths to keep.

    Args:
        run: absolute path of the run's directory, whose files are kept wherever it is.
        own: absolute paths of directories of ours, such as the spool.
    """

    def __init__(self, run: str, own: Iterable[str]) -> None:
        self._run = run
        self._temporary = f"{tempfile.gettempdir()}/"
        self._foreign = {
            normal_path(path) for path in (*_interpreter(), *_caches(), *_SYSTEM, *_PROGRAMS, *own)
        }
        self._foreign.discard("/")
        self.kept = lru_cache(maxsize=4096)(self._kept)

    def passing(self, opened: set[str], written: set[str]) -> set[str]:
        """Return the paths of files that are temporary and gone: they have other names each time.

        Args:
            opened: absolute paths that were read or looked at.
            written: absolute paths that were made, changed or removed.
        """
        return {
            path
            for path in opened | written
            if path.startswith(self._temporary)
            and not path.startswith(f"{self._run}/")
            and not os.path.lexists(path)
        }

    def is_written(self, path: str) -> bool:
        """Return whether a write of a path counts: compiling a module changes nothing of it."""
        prefix = sys.pycache_prefix
        return "/__pycache__" not in path and not (prefix and path.startswith(normal_path(prefix)))

    def _kept(self, path: str) -> str | None:
        """Return the path to keep: that of the source for a compiled file; None to keep none."""
        compiled = _COMPILED.search(path)
        if compiled:
            path = f"{path[: compiled.start()]}/{compiled.group(1)}.py"
        elif "/__pycache__" in path:
            return None
        place = path
        while place not in self._foreign:
            above = posixpath.dirname(place)
            if place in (self._run, above):  # the last of them is its own parent
                return path
            place = above
        return None


def places(paths: Iterable[str], most: int) -> set[str]:
    """Return these paths, or the directories that they lie in where there are more than `most`."""
    found = set(paths)
    while len(found) > most:
        found = {posixpath.dirname(path) for path in found}
    return found


def _interpreter() -> Iterable[str]:
    yield from filter(None, (sysconfig.get_path(name) for name in sysconfig.get_path_names()))
    for prefix in {sys.prefix, sys.base_prefix}:
        yield from (f"{prefix}/{name}" for name in ("lib", "share", "etc", "bin", "include", "pyvenv.cfg"))
    for package in ("respawn", "respawn_kernels"):
        found = getattr(sys.modules.get(package), "__file__", None)
        if found:
            yield posixpath.dirname(found)


def _caches() -> Iterable[str]:
    home = Path.home()
    yield from (str(home / name) for name in _IN_HOME)
    yield from filter(None, (os.environ.get(name) for name in _VARIABLES))
    yield f"{tempfile.gettempdir()}/ipykernel_{getpid()}"
