"""Threads that do a small piece of work again and again, and survive when it fails.

A loop is a function that does what there is to do and returns how many seconds it may rest. `wake` ends
rests at once. A failing piece is logged, reported by `health`, and tried again after a growing pause,
which is short while the database or the blob store is away: its return is noticed within seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from respawn_jobs.errors import Unavailable

logger = logging.getLogger(__name__)
_MAX_PAUSE = 30.0
_MAX_ABSENCE = 5.0
"""Seconds at most between two looks for a store that went away."""


class Passed(Protocol):
    """Called after each pass of a loop: how long it took, and whether it failed."""

    def __call__(self, loop: str, seconds: float, /, *, failed: bool) -> None: ...  # noqa: D102


class Supervisor:
    """Runs named loops, each in its own thread."""

    def __init__(
        self, loops: Mapping[str, Callable[[], float]], *, passed: Passed = lambda *_, failed: None
    ) -> None:
        self._passed = passed
        self._stopping = threading.Event()
        self._wakes = {name: threading.Event() for name in loops}
        self._states: dict[str, str] = dict.fromkeys(loops, "not started")
        self._threads = [
            threading.Thread(target=self._run, args=(name, work), name=f"respawn-{name}", daemon=True)
            for name, work in loops.items()
        ]

    def start(self) -> None:
        """Start the loops."""
        for thread in self._threads:
            thread.start()

    def wake(self, names: Iterable[str] | None = None) -> None:
        """Let loops look now.

        Args:
            names: which ones, as far as they are here; None for all of them.
        """
        for name in self._wakes if names is None else names:
            if name in self._wakes:
                self._wakes[name].set()

    def health(self) -> dict[str, str]:
        """Return, for each loop, `ok` or what went wrong last."""
        return dict(self._states)

    def stop(self, timeout: float = 10.0) -> None:
        """Let each loop finish its piece of work, and end."""
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout)

    def _run(self, name: str, work: Callable[[], float]) -> None:
        failures = 0
        while not self._stopping.is_set():
            # Cleared before the work: what arrives during it is looked at in the next round.
            self._wakes[name].clear()
            began, before = time.monotonic(), failures
            try:
                rest = work()
            except Unavailable as error:
                failures += 1
                rest = min(_MAX_ABSENCE, _pause(failures))
                self._states[name] = error.message
                if failures == 1:  # it is away until something else is logged
                    logger.warning("%s pauses: %s", name, error.message)
            except Exception as error:  # a loop must outlive whatever its work meets
                failures += 1
                rest = min(_MAX_PAUSE, _pause(failures))
                self._states[name] = f"{type(error).__name__}: {error}"
                logger.exception("%s failed (%d in a row); next try in %.1f s", name, failures, rest)
            else:
                if failures:
                    logger.warning("%s goes on after %d failures", name, failures)
                failures = 0
                self._states[name] = "ok"
            self._passed(name, time.monotonic() - began, failed=failures > before)
            self._wakes[name].wait(rest)


def _pause(failures: int) -> float:
    return float(0.5 * 2 ** min(failures, 10))
