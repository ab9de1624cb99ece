"""The copies of OpenBLAS in this process, and how many threads each of them uses."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from respawn_kernels.originals import open_file

_PREFIXES = ("openblas_", "scipy_openblas_")
_SUFFIXES = ("", "64_", "_64", "_64_")
"""Builds with 64-bit integers rename their functions, so that both kinds can be in one process."""
_PTHREADS = 1
"""What `openblas_get_parallel` returns of a build with threads of its own; 2 is OpenMP."""


@dataclass(frozen=True)
class ThreadCount:
    """How many threads a copy of OpenBLAS uses."""

    get: Callable[[], int]
    put: Callable[[int], object]
    starts_none: bool
    """Setting it starts no thread."""


class _Libraries:
    """The copies of OpenBLAS in this process; NumPy and SciPy bring one each."""

    def __init__(self) -> None:
        self._modules = 0
        self._seen: set[str] = set()
        self._found: list[ThreadCount] = []

    def thread_counts(self) -> list[ThreadCount]:
        """Return the number of threads of each copy."""
        if len(sys.modules) == self._modules:
            return self._found  # only an import brings another copy
        self._modules = len(sys.modules)
        for path in _mapped() - self._seen:
            self._seen.add(path)
            with suppress(OSError):  # it is mapped already: this returns the copy in use, and loads no other
                self._found += _thread_counts(ctypes.CDLL(path))
        return self._found


_libraries = _Libraries()


def thread_counts() -> list[ThreadCount]:
    """Return the number of threads of each copy of OpenBLAS."""
    return _libraries.thread_counts()


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


def _thread_counts(library: Any) -> list[ThreadCount]:
    for prefix in _PREFIXES:
        for suffix in _SUFFIXES:
            get, put, parallel = (
                getattr(library, f"{prefix}{what}{suffix}", None)
                for what in ("get_num_threads", "set_num_threads", "get_parallel")
            )
            if get is None or put is None:
                continue
            if parallel is not None and parallel() == _PTHREADS:
                with suppress(ValueError):  # the library does not show it
                    return [_shown(ctypes.c_int.in_dll(library, "blas_cpu_number"), get)]
            return [ThreadCount(get, put, starts_none=False)]
    return []


def _shown(number: ctypes.c_int, get: Callable[[], int]) -> ThreadCount:
    def put(threads: int) -> None:
        number.value = threads

    return ThreadCount(get, put, starts_none=True)
