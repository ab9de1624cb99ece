"""Proof that a directory takes a write: a small file is written through to the disk, and removed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

BYTES = 64 * 1024
"""What is written: more than the records of a run take, so that a disk with less counts as full."""


def prove_room(directory: Path) -> None:
    """Write a file in a directory that is there, and remove it.

    Raises `OSError` when the disk is full, fails, or may not be written.
    """
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".incomplete-") as file:
        file.write(bytes(BYTES))
        file.flush()
        os.fsync(file.fileno())
