"""Waiting for a condition, never for a number of seconds: the only place in the tests that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T | None], timeout: float = 30.0, what: str = "", *, interval: float = 0.02
) -> T:
    """Call `condition` until its answer is true, and return that answer.

    `timeout` and `interval` are seconds. The pause between two calls grows from `interval` to a quarter of a
    second, so that a quick condition is seen at once and a slow one is not asked too often.

    Raises AssertionError naming `what` (or the condition) and its last answer when the time is over.
    Exceptions of the condition go through: a server that is not up yet must be told by the condition.
    """
    deadline = time.monotonic() + timeout
    pause = interval
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            name = what or getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"waited {timeout:g} s in vain for {name}; last answer: {answer!r}")
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.5, 0.25)
