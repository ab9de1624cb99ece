"""Functions of libraries that look at a file or at the notebook's variables and raise no audit event.

They are seen when they start, on Python 3.12 and later. `os.stat` called directly is not.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

from respawn_kernels.evidence.code_owner import is_machinery
from respawn_kernels.evidence.executed_code import Look

_PATH_FUNCTIONS = frozenset(
    {
        *("exists", "lexists", "isfile", "isdir", "islink", "ismount", "isjunction", "isdevdrive"),
        *("getsize", "getmtime", "getatime", "getctime"),
    }
)
_PATH_METHODS = frozenset({"stat", "lstat", "exists", "is_file", "is_dir", "is_symlink"})
_ARGUMENTS = {
    "genericpath": _PATH_FUNCTIONS,
    "posixpath": _PATH_FUNCTIONS,
    "pathlib": _PATH_METHODS,
    "pathlib._local": _PATH_METHODS,
    "pathlib._abc": _PATH_METHODS,
}
"""Functions whose first argument is the path of a file that they look at."""
_READERS = ("cloudpickle.cloudpickle", "dill._dill", "numba.core.bytecode", "torch._dynamo.symbolic_convert")
"""Modules whose functions take the globals of a function from its code, without calling it."""
_MAX_LOOKS = 2_000
"""A cell that looks at more files than these is taken to have looked at every file."""
_PASSED_OVER = (
    "importlib",
    "_frozen_importlib",
    "inspect",
    "linecache",
    "pkgutil",
    "site",
    "stack_data",
    "zipimport",
)
"""Modules that look for the source of code, to import or to show it."""
_FUNCTION = 0x01


class Looks:
    """What such functions looked at in one cell.

    Args:
        add: called with each path.
    """

    def __init__(self, add: Callable[[Any], None]) -> None:
        self.readers: set[str] = set()
        self._add = add
        self._count = 0

    def clear(self) -> None:
        """Forget what they looked at."""
        self.readers, self._count = set(), 0

    def by_module(self) -> dict[str, Look]:
        """Return what to call when a function of these modules starts."""
        paths = {module: self._path(names) for module, names in _ARGUMENTS.items()}
        return {**paths, **{module: self._reader(module) for module in _READERS}}

    def _path(self, functions: frozenset[str]) -> Look:
        def look(code: CodeType, frame: Any) -> bool:
            if code.co_name not in functions or not code.co_argcount:
                return False
            caller = str(frame.f_back.f_globals.get("__name__")) if frame.f_back is not None else ""
            if caller.startswith(_PASSED_OVER) or is_machinery(caller):
                return True
            self._count += 1
            if self._count > _MAX_LOOKS:
                self._add("/")
                return False
            self._add(frame.f_locals.get(code.co_varnames[0]))
            return True

        return look

    def _reader(self, module: str) -> Look:
        def look(code: CodeType, _frame: Any) -> bool:
            if code.co_flags & _FUNCTION:
                self.readers.add(module)
            return False

        return look
