"""Giving up on a variable whose pickling takes too long."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from respawn_kernels.originals import monotonic

_TICK_SECONDS = 0.5


class PicklingTimeout(BaseException):
    """A variable was not pickled in time. Not an `Exception`: a `__reduce__` must not catch it by mistake."""


class TimeLimit:
    """Raises `PicklingTimeout` in the main thread when one step takes longer than its seconds.

    What waits in Python (a lock, a sleep) is interrupted; what hangs in C code is not, since Python runs
    handlers in the main thread, between bytecodes (documentation of `signal`). In other threads nothing is
    interrupted. The program's own handler and timer are put back afterwards.

    Args:
        seconds: how long one step may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started = float("inf")
        self._before: Any = None
        self._timer = (0.0, 0.0)
        self._armed = False

    def step(self) -> None:
        """Begin a step."""
        self._started = monotonic()

    def rest(self) -> None:
        """End the step: what follows may take its time."""
        self._started = float("inf")

    def __enter__(self) -> TimeLimit:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGALRM, self._tick)
            self._timer = signal.setitimer(signal.ITIMER_REAL, _TICK_SECONDS, _TICK_SECONDS)
            self._armed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL if self._before is None else self._before)
            signal.setitimer(signal.ITIMER_REAL, *self._timer)

    def _tick(self, _number: int, _frame: FrameType | None) -> None:
        if monotonic() - self._started > self._seconds:
            raise PicklingTimeout(f"was not pickled within {self._seconds:g} s")
