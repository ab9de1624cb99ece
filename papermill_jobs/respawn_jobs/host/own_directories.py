"""The directories of their own in which runs work, on the machine and by the account of the runner.

They lie in the account's home, where its servers see them too: what a run has written stays there for some
time. Each has a lock beside it, so that no two attempts work in one, and a time: of the lock's last change.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from respawn_jobs.errors import Unavailable
from respawn_jobs.host.workspace import workspaces

SETTING = "RESPAWN_WORK"
"""Where the directories lie; by default `respawn-work` in the account's home."""
KEEP_DAYS = "RESPAWN_WORK_DAYS"
"""How long one is kept after the last attempt in it."""
USUAL_DAYS = 30.0
_DAY = 24 * 3600.0
_WAIT_SECONDS, _PAUSE_SECONDS = 15.0, 0.2


class OwnDirectories:
    """The directories of one account."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Find where they lie; nothing is made yet.

        Args:
            environ: the runner's environment.
        """
        given = environ.get(SETTING)
        self.root = Path(given) if given else _usual()
        self._days = float(environ.get(KEEP_DAYS) or USUAL_DAYS)

    def enter(self, name: str) -> tuple[Path, IO[bytes]]:
        """Return a directory, made when missing, and its lock, which is held until it is closed.

        Args:
            name: the directory's.

        Raises:
            Unavailable: another attempt still works in it.
            OSError: it cannot be made.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self._lock_path(name).open("ab")
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Race: a runner whose attempt was taken from it, and that has not heard so yet.
                if time.monotonic() > deadline:
                    lock.close()
                    raise Unavailable(f"another attempt still works in {self.root / name}") from None
                time.sleep(_PAUSE_SECONDS)
        os.utime(lock.fileno())
        path = self.root / name
        path.mkdir(exist_ok=True)
        return path, lock

    def remove(self, name: str) -> None:
        """Remove a directory that the caller has entered, with its lock."""
        shutil.rmtree(self.root / name, ignore_errors=True)
        self._lock_path(name).unlink(missing_ok=True)

    def sweep(self, now: float) -> None:
        """Remove directories that nobody has worked in for long.

        Args:
            now: seconds since 1970.
        """
        with suppress(FileNotFoundError):
            for lock in list(self.root.glob(".*.lock")):
                with suppress(OSError):
                    self._sweep_one(lock, now)

    def _sweep_one(self, lock: Path, now: float) -> None:
        if now - lock.stat().st_mtime < self._days * _DAY:
            return
        with lock.open("rb") as held, suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.remove(lock.name.removeprefix(".").removesuffix(".lock"))

    def _lock_path(self, name: str) -> Path:
        return self.root / f".{name}.lock"


def _usual() -> Path:
    try:
        home = Path.home()
    except RuntimeError:  # the account has none
        return workspaces() / "work"
    return home / "respawn-work" if os.access(home, os.W_OK) else workspaces() / "work"
