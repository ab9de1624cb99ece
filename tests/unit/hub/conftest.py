"""A ledger at a moment that tests move on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_jobs.ledger import Ledger
from support.clocks import MovedClock


@pytest.fixture
def clock() -> MovedClock:
    """The ledger's clock."""
    return MovedClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: MovedClock) -> Iterator[Ledger]:
    """An embedded ledger."""
    ledger = Ledger.embedded(tmp_path / "data", clock=clock)
    yield ledger
    ledger.close()
