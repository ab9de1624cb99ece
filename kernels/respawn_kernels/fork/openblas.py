"""The copies of OpenBLAS in this process, and the functions that get and set how many threads they use."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from typing import Any

from respawn_kernels.originals import open_file

_NAMES = ("openblas_{}_num_threads", "scipy_openblas_{}_num_threads")
_SUFFIXES = ("", "64_", "_64", "_64_")
"""Builds with 64-bit integers rename their functions, so that both kinds can be in one process."""
_THREADS_OF_ITS_OWN = 1
"""What `openblas_get_parallel` returns of a build that does not use OpenMP."""


class _Libraries:
    """The copies of OpenBLAS in this process; NumPy and SciPy bring one each."""

    def __init__(self) -> None:
        self._modules = 0
        self._seen: set[str] = set()
        self._found: list[tuple[Any, Any]] = []

    def functions(self) -> list[tuple[Any, Any]]:
        """Return the functions that get and set the number of threads, of each copy."""
        if len(sys.modules) == self._modules:
            return self._found  # only an import brings another copy
        self._modules = len(sys.modules)
        for path in _mapped() - self._seen:
            self._seen.add(path)
            with suppress(OSError):  # it is mapped already: this returns the copy in use, and loads no other
                self._found += _functions(ctypes.CDLL(path))
        return self._found


_libraries = _Libraries()


def functions() -> list[tuple[Any, Any]]:
    """Return the functions that get and set the number of threads, of each copy of OpenBLAS."""
    return _libraries.functions()


def _mapped() -> set[str]:
    """Return the files of OpenBLAS that are mapped here."""
    try:
        with open_file("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            return {
                line[line.index("/") :].strip()
                for line in maps
                if "openblas" in line and "/" in line and " r-xp " in line
            }
    except OSError:
        return set()


def _functions(library: Any) -> list[tuple[Any, Any]]:
    for name in _NAMES:
        for suffix in _SUFFIXES:
            get = getattr(library, name.format("get") + suffix, None)
            put = getattr(library, name.format("set") + suffix, None)
            if get is not None and put is not None:
                of_kind = name.format("get").removesuffix("num_threads") + f"parallel{suffix}"
                parallel = getattr(library, of_kind, None)
                return [_variable(library, get, parallel) or (get, put)]
    return []


def _variable(library: Any, get: Any, parallel: Any) -> tuple[Any, Any] | None:
    """Return how to get and set the number itself; None where the library does not show it.

    Its function starts the threads that a fork has ended, and new ones compute for a tenth of a second
    before they sleep (`blas_thread_server`, `THREAD_TIMEOUT`). The next call that needs them starts them, too
    (`exec_blas`, driver/others/blas_server.c).
    """
    if parallel is None or parallel() != _THREADS_OF_ITS_OWN:
        return None
    try:
        number = ctypes.c_int.in_dll(library, "blas_cpu_number")
    except ValueError:
        return None
    if number.value != get():
        return None
    return (lambda: number.value), (lambda value: setattr(number, "value", value))
