"""Nothing here changes the state of the process for the tests that come after."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def same_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore directory, import path and random state: restoring a snapshot changes them."""
    monkeypatch.chdir(Path.cwd())
    monkeypatch.setattr(sys, "path", list(sys.path))
    state = random.getstate()
    yield
    random.setstate(state)
