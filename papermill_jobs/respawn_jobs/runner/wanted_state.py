"""The request of a person for the state before the cell that runs, on its way to the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


class WantedState:
    """Carries the request from the heartbeat's thread to what can store the state."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None = None

    def follow(self, store: Callable[[], None]) -> None:
        """Have a function called for each request, in the running event loop.

        Args:
            store: begins to store the state, where it is held; returns at once.
        """
        with self._lock:
            self._store = (asyncio.get_running_loop(), store)

    def ask(self) -> None:
        """Request it, from any thread; nothing happens where no state is kept yet, or any more."""
        with self._lock:
            if self._store is not None and not self._store[0].is_closed():
                self._store[0].call_soon_threadsafe(self._store[1])
