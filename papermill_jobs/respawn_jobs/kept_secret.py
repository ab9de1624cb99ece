"""A secret that is made once and kept in a file which only its owner can read."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

FILE = "cookie-secret"
"""Its name in a data directory: the service's cookies and webhooks are derived from it."""


def kept_secret(path: Path) -> str:
    """Return the secret in a file, making it where there is none; of two makers at once, one wins."""
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Whole before it has its name: another process must not read half of it.
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(beside, path)
    finally:
        Path(beside).unlink()
    return path.read_text().strip()
