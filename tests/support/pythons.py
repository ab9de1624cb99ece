"""Other interpreters with Respawn's kernel part, where there are any."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def watching_python() -> Path | None:
    """Return an interpreter that can tell which code runs (3.12 or later), this one if it can."""
    if sys.version_info >= (3, 12):
        return Path(sys.executable)
    found = sorted((ROOT / ".respawn" / "pythons").glob("3.*/bin/python"))
    return found[-1] if found else None
