"""Files that only their owner may read: new ones, and those that are there with wider modes."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from respawn_jobs.errors import InvalidInput

logger = logging.getLogger(__name__)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_before: int | None = None


def keep_new_files_private() -> None:
    """Let files that this process makes be their owner's only; jobs keep the umask of its start."""
    global _before
    before = os.umask(0o077)
    _before = before if _before is None else _before


def umask_of_jobs() -> int:
    """Return the umask for processes of jobs, whose files are not ours; -1 for that of this process."""
    return -1 if _before is None else _before


def private_directory(path: Path) -> None:
    """Make a directory, or close one that is there to others; see `closed_directory`."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    closed_directory(path)


def closed_directory(path: Path) -> None:
    """Close a directory to others, if it is there.

    Raises `InvalidInput` when it is everybody's (such as `/tmp`), or its mode cannot be changed.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    if status.st_mode & stat.S_ISVTX:
        raise InvalidInput(f"the directory {path} is shared by all accounts: choose one for Respawn alone")
    _close(path, status)


def private_file(path: Path) -> None:
    """Close a regular file to others, if it is there. Raises `InvalidInput` when that is not possible."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(status.st_mode):
        _close(path, status)


def new_private_file(path: Path) -> None:
    """Make an empty file that only its owner may read, where there is none; close one that is there."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        private_file(path)


def _close(path: Path, status: os.stat_result) -> None:
    if not status.st_mode & _OTHERS:
        return
    mode = stat.S_IMODE(status.st_mode) & ~_OTHERS
    try:
        path.chmod(mode)
    except OSError as error:
        raise InvalidInput(
            f"{path} can be read or changed by other accounts, and its mode cannot be changed "
            f"({error.strerror}): let the account of Respawn own it, or run `chmod {mode:o} {path}`"
        ) from error
    logger.warning(
        "%s was open to other accounts (mode %o): it is %o now", path, status.st_mode & 0o7777, mode
    )
