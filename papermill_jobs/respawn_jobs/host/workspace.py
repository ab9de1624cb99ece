"""Where an attempt works on this machine.

A workspace is a directory that lives as long as its runner: the kernel's spool, a download to restore from,
links to the agent for the kernel. A runner that was killed leaves its own behind; the next one removes it,
because the lock on it died with the process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO


class Workspace:
    """A directory of one runner, locked while it lives; use as a context manager."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or workspaces()
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(self._root)
        self.path, self._lock = _new_directory(self._root)

    def directory(self, name: str) -> Path:
        """Return a subdirectory, made when missing."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def close(self) -> None:
        """Remove the directory with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def workspaces(temporary: Path | None = None) -> Path:
    """Return the directory of this account's workspaces, made when missing; nobody else can enter it.

    Everybody may make names in the temporary directory. So one that is there counts only when this account
    owns it and it is closed to others; where somebody else has the usual name, another one is made.

    Args:
        temporary: where it lies; by default the system's directory of temporary files.
    """
    place = temporary or Path(tempfile.gettempdir())
    usual = place / f"respawn-{os.getuid()}"
    with suppress(FileExistsError):
        usual.mkdir(mode=0o700)
    for path in (usual, *sorted(place.glob(f"{usual.name}-*"))):
        if _is_private(path):
            return path
    return Path(tempfile.mkdtemp(prefix=f"{usual.name}-", dir=place))


def _is_private(path: Path) -> bool:
    try:
        status = path.lstat()  # a link would lead to wherever its maker wants
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def _new_directory(root: Path) -> tuple[Path, IO[bytes]]:
    while True:
        path = Path(tempfile.mkdtemp(dir=root))
        try:
            lock = (path / "lock").open("wb")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (FileNotFoundError, BlockingIOError):
            continue  # Race: another runner took the new directory for a forgotten one before it was locked.
        if (path / "lock").exists():
            return path, lock
        lock.close()


def _sweep(root: Path) -> None:
    """Remove workspaces whose runner is gone."""
    for path in root.iterdir():
        try:
            lock = (path / "lock").open("rb")
        except OSError:
            continue  # not a workspace, or one that is just being made or removed
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(path, ignore_errors=True)
