"""Where an attempt works on this machine, and what the embedded store is called.

A workspace is a directory that lives as long as its runner: the kernel's spool, a download to restore from,
links lent to the kernel. A runner that was killed leaves its own behind; the next one removes it, because
the lock on it died with the process.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import URL

    from respawn_jobs.access import Actor
    from respawn_jobs.ledger import Ledger

_NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]+")


def data_directory() -> Path:
    """Return the embedded store's directory: `RESPAWN_DATA`, or `respawn` in the user's data directory."""
    given = os.environ.get("RESPAWN_DATA")
    if given:
        return Path(given).expanduser().absolute()
    from platformdirs import user_data_dir

    return Path(user_data_dir("respawn", appauthor=False))


def open_store() -> Ledger:
    """Open the embedded store; `RESPAWN_DB_URL` and `RESPAWN_BLOBS_URL` put its parts elsewhere.

    Raises:
        RespawnError: it cannot be opened; the message names what is wrong.
    """
    from respawn_jobs.keyring import Keyring
    from respawn_jobs.ledger import Ledger

    return Ledger.embedded(
        data_directory(),
        db_url=os.environ.get("RESPAWN_DB_URL") or None,
        blobs_url=os.environ.get("RESPAWN_BLOBS_URL") or None,
        keyring=Keyring.of(data_directory()),
    )


def database_url() -> str | URL:
    """Return where the metadata of the embedded store are."""
    from sqlalchemy import URL

    # A URL object, not text: a path may hold characters that mean something in a URL.
    file = data_directory().resolve() / "respawn.db"
    return os.environ.get("RESPAWN_DB_URL") or URL.create("sqlite", database=str(file))


def owner() -> Actor:
    """Return the person at this machine, to whom everything in the embedded store belongs."""
    from respawn_jobs.access import Actor

    return Actor.owner(getpass.getuser())


def scratch_name(path: str | Path | None) -> str:
    """Return the name of the scratch job for a notebook that is run without being promoted."""
    stem = Path(path).stem if isinstance(path, str | Path) else ""
    slug = _NOT_IN_NAMES.sub("-", stem.lower()).strip("-._")
    return "~" + (slug[:61].rstrip("-._") or "notebook")


def plain_json(value: Any) -> Any:
    """Return `value` as JSON would bring it back; what JSON does not know (dates, paths) becomes text."""
    return json.loads(json.dumps(value, default=str))


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, with the permissions that the person's umask gives.

    Raises `OSError` when the directory is missing or cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(
            os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666),
            "w",
            encoding="utf-8",
            errors="replace",
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:  # Ctrl-C too: nothing half-written stays; it goes on to the caller
        beside.unlink(missing_ok=True)
        raise


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
        told = path.lstat()  # a link would lead to wherever its maker wants
    except OSError:
        return False
    return stat.S_ISDIR(told.st_mode) and told.st_uid == os.getuid() and not told.st_mode & 0o077


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
