"""How much a run's directory has grown, found in a thread of its own: it may hold a million files."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from respawn_jobs.host.directory_size import stored_bytes

log = logging.getLogger(__name__)

_ROUTINE_SHARE, _PRESSING_SHARE = 0.02, 0.1
"""What scanning may take of a core: as a routine, and when enough was written to reach the limit."""
_ROUTINE_PAUSES, _MAX_PRESSING_PAUSE = (5.0, 60.0), 5.0
"""Seconds between two scans: the fewest and the most of the routine, and the most of pressing ones."""


class DirectoryGrowth:
    """Scans one directory again and again, from `start` to `close`."""

    def __init__(self, directory: Path, limit: int, stop: threading.Event) -> None:
        """Scan nothing yet.

        Args:
            directory: the directory.
            limit: bytes by which it may grow.
            stop: set when nobody wants to know any more; a scan then ends early.
        """
        self.grown = 0
        """Bytes by which it had grown at the last scan."""
        self._directory = directory
        self._limit = limit
        self._stop = stop
        self._before = self._written = self._written_then = 0
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._scan, name="respawn-directory", daemon=True)

    def start(self, written: int) -> None:
        """Find how large it is now, which takes as long as it takes, and begin to scan.

        Args:
            written: bytes that the kernel's processes have written so far.
        """
        self._written = self._written_then = written
        self._before = stored_bytes(self._directory, self._stop)
        if not self._stop.is_set():
            self._thread.start()

    def wrote(self, written: int) -> None:
        """Hear how many bytes the kernel's processes have written, those that have ended included."""
        self._written = max(self._written, written)
        if self._pressing():
            self._wanted.set()

    def close(self) -> None:
        """Wait for the end of the thread, once `stop` is set."""
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()

    def _pressing(self) -> bool:
        return self.grown + self._written - self._written_then >= self._limit

    def _scan(self) -> None:
        cost = 0.0
        while not self._stop.is_set():
            # fallocate(2) and a mapped file take room without a write: so it is scanned now and then anyway.
            fewest, most = _ROUTINE_PAUSES
            soon = min(_MAX_PRESSING_PAUSE, cost / _PRESSING_SHARE)
            if self._stop.wait(soon):
                return
            self._wanted.wait(max(0.0, min(most, max(fewest, cost / _ROUTINE_SHARE)) - soon))
            self._wanted.clear()
            try:
                cost = self._once()
            except Exception:  # the boundary of the thread: a run must not lose its limit without a word
                log.exception("the directory %s could not be scanned", self._directory)

    def _once(self) -> float:
        """Scan; return the seconds of CPU that it took."""
        before, written = time.thread_time(), self._written
        size = stored_bytes(self._directory, self._stop)
        if not self._stop.is_set():
            self.grown, self._written_then = max(0, size - self._before), written
        return time.thread_time() - before
