"""Blobs of a checkpoint, mapped into memory and verified before any of them is used.

A private map: pages are read from the file when touched, and writing to one changes this process's memory,
not the file. So restored arrays are writable, and a restore does not copy them.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path

from respawn_kernels.digest import digest_of
from respawn_kernels.snapshot import CorruptBlob


def map_blobs(digests: Sequence[str], directory: Path, cell: int) -> list[memoryview]:
    """Map blobs, in the order they are named.

    A digest that is named twice is mapped twice: two arrays that were equal when they were stored are two
    arrays still.

    Args:
        digests: which blobs.
        directory: where files named by their digests are.
        cell: the checkpoint, for messages.

    Raises:
        CorruptBlob: one is missing or its bytes are not what its name says.
    """
    verified: set[str] = set()
    views = []
    for digest in digests:
        view = _map(directory / digest, f"blob {digest} of the checkpoint after cell {cell}")
        if digest not in verified and digest_of(view) != digest:
            raise CorruptBlob(f"blob {digest} of the checkpoint after cell {cell} is damaged")
        verified.add(digest)
        views.append(view)
    return views


def _map(path: Path, what: str) -> memoryview:
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    except FileNotFoundError as error:
        raise CorruptBlob(f"{what} is missing") from error
    except ValueError as error:  # an empty file cannot be mapped, and no blob is empty
        raise CorruptBlob(f"{what} is damaged: it is empty") from error
