"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


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
