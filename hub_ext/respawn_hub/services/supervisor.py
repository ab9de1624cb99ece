"""Threads that do a small piece of work again and again, and survive when it fails.

A loop is a function that does what there is to do and returns how many seconds it may rest. `wake` ends
every rest at once. A failing piece is logged, told by `health`, and tried again after a growing pause.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)
_LONGEST_PAUSE = 30.0


class Supervisor:
    """Runs named loops, each in its own thread."""

    def __init__(self, loops: Mapping[str, Callable[[], float]]) -> None:
        self._stopping = threading.Event()
        self._wakes = {name: threading.Event() for name in loops}
        self._said: dict[str, str] = dict.fromkeys(loops, "not started")
        self._threads = [
            threading.Thread(target=self._run, args=(name, work), name=f"respawn-{name}", daemon=True)
            for name, work in loops.items()
        ]

    def start(self) -> None:
        """Start the loops."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Let every loop look now."""
        for event in self._wakes.values():
            event.set()

    def health(self) -> dict[str, str]:
        """Return, for each loop, `ok` or what went wrong last."""
        return dict(self._said)

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
            try:
                rest = work()
            except Exception as error:  # a loop must outlive whatever its work meets
                failures += 1
                rest = min(_LONGEST_PAUSE, 0.5 * 2 ** min(failures, 10))
                self._said[name] = f"{type(error).__name__}: {error}"
                logger.exception("%s failed (%d in a row); next try in %.1f s", name, failures, rest)
            else:
                failures = 0
                self._said[name] = "ok"
            self._wakes[name].wait(rest)
