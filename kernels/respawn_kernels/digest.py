"""Content addresses, and files that are whole or absent.

A digest is the BLAKE3 of the bytes, as 64 hex digits. One thread does the hashing: a pool that hashing left
behind would make forking the kernel unsafe. A file is written under another name, which rename(2) replaces by
its own at once.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from respawn_kernels.originals import getpid

_CHUNK = 1 << 20
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL
_count = itertools.count()


def digest_of(data: bytes | bytearray | memoryview) -> str:
    """Return the digest of `data`, which must be contiguous."""
    return blake3(data).hexdigest()


def digest_of_file(path: Path) -> str:
    """Return the digest of a file's bytes. Raises OSError when it cannot be read."""
    hasher = blake3()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def write_whole(path: Path, data: bytes | bytearray | memoryview, *, durable: bool = True) -> None:
    """Write a file so that nobody ever sees a part of it; an existing file is replaced.

    Args:
        path: where it goes; its directory exists.
        data: the bytes.
        durable: wait until the disk has them (fsync(2)). A spool that is read again by the same machine alone
            does not need it.

    Raises:
        OSError: it could not be written, for instance because the disk is full; nothing is left behind.
    """
    with _beside(path) as (file, temporary):
        file.write(data)
        _settle(file, durable=durable)
        temporary.replace(path)


@contextmanager
def _beside(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a temporary file in the directory of `path`, and remove it unless it was renamed."""
    descriptor, temporary = _new_file(path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file, temporary
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _new_file(directory: Path) -> tuple[int, Path]:
    """Open a file that nobody else has, without `tempfile`, of which the notebook's code may be a part."""
    while True:
        temporary = directory / f".incomplete-{getpid()}-{next(_count)}"
        with suppress(FileExistsError):  # of a process that had this number before, or on another machine
            return os.open(temporary, _NEW, 0o600), temporary


def _settle(file: BinaryIO, *, durable: bool) -> None:
    file.flush()
    if durable:
        os.fsync(file.fileno())
