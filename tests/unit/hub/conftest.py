"""A ledger at a moment that tests move on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from support.clocks import MovedClock
from support.ledgers import prepared_data
from support.signed_in import Browse, signed_in


@pytest.fixture
def clock() -> MovedClock:
    """The ledger's clock."""
    return MovedClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: MovedClock) -> Iterator[Ledger]:
    """An embedded ledger."""
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"), clock=clock)
    yield ledger
    ledger.close()


@pytest.fixture
def ada(ledger: Ledger) -> ActorService:
    """What ada may do, the owner of `user/ada`."""
    return ledger.as_actor(Actor.owner("ada"))


@pytest.fixture
def browse(ledger: Ledger, tmp_path: Path) -> Browse:
    """Ask for something as ada's browser does, signed in; no loop runs."""
    browser = signed_in(ledger, tmp_path)
    return lambda method, path, form=None: browser.ask(method, path, form=form)
