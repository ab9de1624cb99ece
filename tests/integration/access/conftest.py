"""One hub and one service for all of the matrix."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from support.access.people import NAMESPACES, Place, place
from support.access.stored import Stored, stored
from support.access.things import Things, settle
from support.leaks import tolerate
from support.postgres import Postgres


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def db_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The database of the service; None for SQLite in its data directory."""
    if request.param == "sqlite":
        yield None
        return
    cluster: Postgres = request.getfixturevalue("postgres")
    url = cluster.prepared()
    yield url
    cluster.drop(url)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, db_url: str | None) -> Iterator[Place]:
    """The service, with everybody signed in."""
    with place(tmp_path_factory.mktemp("access"), db_url) as found:
        tolerate(found.hub.process.pid)
        yield found


@pytest.fixture(scope="module")
def things(service: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Things]:
    """What is in each namespace."""
    scratch = tmp_path_factory.mktemp("scratch")
    words = dict(zip(NAMESPACES, ("quokkaquokka", "numbatnumbat"), strict=True))
    return {name: settle(service.ledger, name, word, scratch) for name, word in words.items()}


@pytest.fixture(scope="module")
def filled(service: Place, things: dict[str, Things], db_url: str | None) -> Iterator[Stored]:
    with stored(service.data, db_url) as found:
        yield found


@pytest.fixture
def store(filled: Stored) -> Stored:
    """The store as it was first, with all of that in it."""
    filled.go_back()
    return filled


@pytest.fixture(scope="module")
def client(service: Place) -> Iterator[httpx.Client]:
    """A client without cookies of its own."""
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client
