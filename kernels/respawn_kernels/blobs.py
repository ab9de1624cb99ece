"""Blobs of a checkpoint, read into memory of their own and verified before any of them is used.

Arrays are built on that memory as it is: page-aligned, writable, and not copied again. The files are not
mapped, because a map keeps its file open and a notebook may have more arrays than a process may have files.
The memory is private: a forked child does not see what its parent writes later.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path

from respawn_kernels.digest import digest_of
from respawn_kernels.snapshot import CorruptBlob


def load_blobs(digests: Sequence[str], directory: Path, cell: int) -> list[memoryview]:
    """Load blobs, in the order they are named.

    A digest that is named twice is loaded twice: two arrays that were equal when they were stored are two
    arrays still.

    Args:
        digests: which blobs.
        directory: where files named by their digests are.
        cell: the checkpoint, for messages.

    Raises:
        CorruptBlob: one is missing or its bytes are not what its name says.
    """
    views = []
    for digest in digests:
        what = f"blob {digest} of the checkpoint after cell {cell}"
        view = _load(directory / digest, what)
        if digest_of(view) != digest:
            raise CorruptBlob(f"{what} is damaged")
        views.append(view)
    return views


def _load(path: Path, what: str) -> memoryview:
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise CorruptBlob(f"{what} is damaged: it is empty")
            memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            view = memoryview(memory)
            filled = 0
            # One read gives at most 2 GiB.
            while filled < size and (count := file.readinto(view[filled:])):
                filled += count
    except FileNotFoundError as error:
        raise CorruptBlob(f"{what} is missing") from error
    return view
