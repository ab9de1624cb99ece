"""The working directory of this process."""

from __future__ import annotations

import os
from pathlib import Path


def working_directory() -> str:
    """Return the working directory; empty when it was removed under the process."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def enter(directory: str) -> str | None:
    """Change to a directory if it exists; return where the process is now, or None when it stayed."""
    if not directory or not Path(directory).is_dir():
        return None
    os.chdir(directory)
    return directory
