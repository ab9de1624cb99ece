"""An embedded ledger with a clock that tests move, and what people do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from respawn_jobs.models import JobSettings, Run
from respawn_jobs.service import Promotion, RunRequest, Service
from support.notebooks import notebook, text
from support.runners import PlayedRunner


class MovedClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: MovedClock) -> Iterator[Ledger]:
    ledger = Ledger.embedded(tmp_path / "data", clock=clock)
    yield ledger
    ledger.close()


@pytest.fixture
def ada(ledger: Ledger) -> Service:
    """A person who may edit her own namespace and nothing else."""
    return ledger.as_actor(Actor("ada", frozenset({"custom:respawn:edit!user=ada"})))


@pytest.fixture
def bob(ledger: Ledger) -> Service:
    return ledger.as_actor(Actor("bob", frozenset({"custom:respawn:edit!user=bob"})))


@pytest.fixture
def queue(ada: Service) -> Callable[..., Run]:
    """Promote a notebook of these cells as ada's `report` and queue a run of it."""

    def queue(
        *cells: str,
        tags: dict[int, list[str]] | None = None,
        parameters: str | None = None,
        given: dict | None = None,
        **settings: object,
    ) -> Run:
        nb = notebook(*(cells or ("a = 1", "b = a", "c = b")), tags=tags, parameters=parameters)
        ada.promote(Promotion(name="report", notebook=text(nb), settings=JobSettings(**settings)))
        return ada.run(RunRequest(job="report", parameters=given or {}))

    return queue


@pytest.fixture
def failed(queue: Callable[..., Run], ledger: Ledger) -> Run:
    """A run of three cells whose last one failed."""
    run = queue("a = 1", "b = a", "c = d")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.execute(1)
    runner.fail(2)
    return run
