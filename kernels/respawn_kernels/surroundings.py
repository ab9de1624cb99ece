"""What a notebook's state is besides its variables: directory, import path, random generators."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RANDOM = "#random"
"""The name of the random states in a stream; no variable can have it."""


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


def added_path() -> list[str]:
    """Return the entries of the import path that are not part of the Python installation or environment."""
    own = {sys.prefix, sys.exec_prefix, sys.base_prefix}
    return [entry for entry in sys.path if entry and not any(Path(entry).is_relative_to(p) for p in own)]


def extend_path(entries: Iterable[str]) -> None:
    """Add the entries of a recorded import path that are directories here and not on the path yet."""
    for entry in entries:
        if entry not in sys.path and Path(entry).is_dir():
            sys.path.append(entry)


def random_state() -> dict[str, Any]:
    """Return the states of Python's and, if loaded, NumPy's global random generators."""
    states: dict[str, Any] = {"python": random.getstate()}
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        states["numpy"] = numpy_random.get_state()
    return states


def set_random_state(states: dict[str, Any] | None) -> None:
    """Set the generators to recorded states, so that drawing goes on where it stopped."""
    if not states:
        return
    random.setstate(states["python"])
    if "numpy" in states:
        import numpy as np

        np.random.set_state(states["numpy"])
