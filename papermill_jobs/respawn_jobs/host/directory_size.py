"""How much a directory takes on its disk."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

_BLOCK = 512
"""The unit of `st_blocks`, whatever the file system's own is; see stat(2)."""


def stored_bytes(directory: Path, stop: threading.Event | None = None) -> int:
    """Return the bytes that are stored below a directory; a file with several names counts once.

    Holes of sparse files take none. What cannot be looked at, and what is gone meanwhile, counts nothing.

    Args:
        directory: the directory.
        stop: ends the scan early when it is set; what is returned then means nothing.
    """
    total = 0
    seen: set[tuple[int, int]] = set()
    waiting = [os.fspath(directory)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if stop is not None and stop.is_set():
                    return total
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif found.st_nlink > 1:
                        if (found.st_dev, found.st_ino) in seen:
                            continue
                        seen.add((found.st_dev, found.st_ino))
                    total += found.st_blocks * _BLOCK
    return total
