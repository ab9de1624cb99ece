"""Whether this process adopts the orphans of its kernels: a zygote's kernels and held children are such."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37


class _Adopting:
    # Whether this process adopts orphans, counted over the attempts that it executes at a time.

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._before = 0

    def change(self, by: int) -> None:
        if sys.platform != "linux":
            return
        prctl = ctypes.CDLL(None).prctl
        with self._lock:
            if self._count == 0:
                before = ctypes.c_int(0)
                prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
                self._before = before.value
            self._count += by
            prctl(_PR_SET_CHILD_SUBREAPER, 1 if self._count else self._before, 0, 0, 0)


_adopting = _Adopting()


@contextmanager
def adopting() -> Iterator[None]:
    """Let this process adopt the orphans of its kernels meanwhile."""
    _adopting.change(1)
    try:
        yield
    finally:
        _adopting.change(-1)
