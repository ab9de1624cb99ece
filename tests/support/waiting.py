"""Waiting for a condition, never for a number of seconds: the only place in the tests that sleeps."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T | None], timeout: float = 30.0, what: str = "", *, interval: float = 0.02
) -> T:
    """Call `condition` until its answer is true, and return that answer.

    `timeout` and `interval` are seconds. The pause between two calls grows from `interval` to a quarter of a
    second, so that a quick condition is seen at once and a slow one is not asked too often.

    Raises AssertionError naming `what` (or the condition) and its last answer when the time is over.
    Exceptions of the condition go through: a server that is not up yet are for the condition to catch.
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


def moment(chance: random.Random, longest: float) -> None:
    """Let a moment pass that chance decides, of so many seconds at most: for faults that come at any time."""
    time.sleep(chance.uniform(0, longest))


def meanwhile(seconds: float, interval: float = 0.1) -> Iterator[float]:
    """Yield again and again for so many seconds, with a pause after each: for what must hold all the while.

    Yields the seconds that have passed.
    """
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        yield passed
        time.sleep(interval)


def rest(seconds: float) -> None:
    """Do nothing for so many seconds: for peers whose silence is what is tested."""
    time.sleep(seconds)
