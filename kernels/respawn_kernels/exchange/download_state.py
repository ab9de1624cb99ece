"""The files by which the process that fetches a run's data and the kernel that waits for them communicate.

    <run>/download.lock           locked by whoever fetches, as long as it lives
    <run>/download.json           how far it is, or why it failed
    <run>/wanted/<digest>         a blob that a kernel waits for: fetched next
    <run>/in-use.lock             locked by kernels that may come to load variables of the run

A lock (flock(2)) is released with its process, however that ends, so nobody waits for a download that is
dead.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from respawn_kernels.checkpoint.errors import CorruptBlob
from respawn_kernels.digest import write_whole
from respawn_kernels.exchange.versions import known_fields
from respawn_kernels.originals import dumps, loads

_LOOK_SECONDS = 0.05
_OUT_OF_THE_WAY = 512


@dataclass(frozen=True)
class DownloadState:
    """Progress of a download."""

    there: int
    """Bytes that are here."""
    total: int
    failed: str | None = None
    """Why it ended before everything was there."""

    @classmethod
    def read(cls, directory: Path) -> DownloadState | None:
        """Return what the download of a run's directory wrote last; None when it wrote nothing."""
        try:
            return known_fields(cls, loads((directory / "download.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, directory: Path) -> None:
        """Write it into a run's directory. Raises OSError."""
        write_whole(directory / "download.json", dumps(asdict(self)).encode(), durable=False)


@contextmanager
def downloading(directory: Path) -> Iterator[bool]:
    """Become the only one that downloads into a run's directory; yields False when another one does."""
    with (directory / "download.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def is_downloading(directory: Path) -> bool:
    """Return whether somebody downloads into a run's directory."""
    return _is_locked(directory / "download.lock", fcntl.LOCK_SH)


def use(directory: Path) -> BinaryIO | None:
    """Mark a run's directory as in use until the file that this returns is closed; None if it cannot be."""
    try:
        file = (directory / "in-use.lock").open("ab")
        with file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # At a high number: the notebook's own files had the low ones.
            return os.fdopen(fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY), "ab")
    except OSError:
        return None


def is_in_use(directory: Path) -> bool:
    """Return whether a kernel may come to load variables from a run's directory."""
    return _is_locked(directory / "in-use.lock", fcntl.LOCK_EX)


def _is_locked(path: Path, against: int) -> bool:
    """Return whether others hold a lock on a file that keeps this kind of lock from being taken."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, against | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def wanted(directory: Path) -> list[str]:
    """Return the blobs that a kernel waits for."""
    try:
        return [path.name for path in (directory / "wanted").iterdir()]
    except OSError:
        return []


class DownloadedBlobs:
    """Waits for blobs of a run that is being downloaded; see `restore.mapped_blobs.Arrivals`.

    Args:
        directory: the run's.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def wait(self, digest: str, stop: threading.Event) -> None:
        """Return when a blob is there or `stop` is set. Raises CorruptBlob when it will not come."""
        path, wish = self._directory / "blobs" / digest, self._directory / "wanted" / digest
        with suppress(OSError):
            wish.parent.mkdir(exist_ok=True)
            wish.touch()
        try:
            while not path.exists() and not stop.wait(_LOOK_SECONDS):
                if not is_downloading(self._directory) and not path.exists():
                    raise CorruptBlob(self._why(digest))
        finally:
            with suppress(OSError):
                wish.unlink()

    def _why(self, digest: str) -> str:
        state = DownloadState.read(self._directory)
        if state is not None and state.failed is not None:
            return f"blob {digest} is not here, because the download failed: {state.failed}"
        if state is not None and state.there < state.total:
            return f"blob {digest} is not here, because the download was ended before it was done"
        return f"blob {digest} is missing"
