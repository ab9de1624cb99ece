"""A ledger whose jobs tell channels, on each database, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest, Service
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.operations.notice_ops import Operations
from respawn_jobs.model.runs import Run
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.database import Database
from support.clocks import MovedClock
from support.notebooks import notebook, text
from support.runners import PlayedRunner


@dataclass
class Rules:
    """Channels `oncall` and `other`, without addresses; failures are collected for ten minutes."""

    names: tuple[str, ...] = ("oncall", "other")

    def check(self, names: Sequence[str], namespace: str) -> None:
        for name in names:
            if name not in self.names:
                raise InvalidInput(f"the channel {name!r} is not defined")

    def group_seconds(self, name: str) -> float:
        return 600.0


@dataclass
class Counts:
    """An observer that remembers."""

    seen: list[tuple[Any, ...]] = field(default_factory=list)

    def started(self, queue: str, seconds: float) -> None:
        self.seen.append(("started", queue, seconds))

    def checkpointed(self, seconds: float, size: int) -> None:
        self.seen.append(("checkpointed", seconds, size))

    def kernel_started(self, *, warm: bool) -> None:
        """Not of interest."""

    def attempt_ended(self, state: str, cause: str | None) -> None:
        self.seen.append(("attempt", state, cause))

    def run_ended(self, state: str) -> None:
        self.seen.append(("run", state))

    def notice_tried(self, kind: str, *, sent: bool) -> None:
        self.seen.append(("notice", kind, sent))


@dataclass
class NotifyingLedger:
    """A ledger, and what its people and runners do with it."""

    ledger: Ledger
    clock: MovedClock
    counts: Counts

    @property
    def loops(self) -> Operations:
        return self.ledger.operations()

    @property
    def ada(self) -> Service:
        return self.ledger.as_actor(Actor("ada", frozenset({"custom:respawn:edit!user=ada"})))

    def promote(self, name: str = "report", *cells: str, **settings: Any) -> None:
        settings.setdefault("notify", ["oncall"])
        content = text(notebook(*(cells or ("a = 1", "# look\nb = load('x')"))))
        self.ada.promote(Promotion(name=name, notebook=content, settings=JobSettings(**settings)))

    def fails(self, name: str = "report", *, value: str = "'price'") -> Run:
        """Queue a run, let its second cell fail, and write the notices."""
        run = self.ada.run(RunRequest(job=name))
        runner = PlayedRunner(self.ledger, run.id)
        runner.begin()
        runner.execute(0, checkpoint=False)
        runner.fail(1)
        self.loops.collect()
        return run

    def succeeds(self, name: str = "report") -> Run:
        run = self.ada.run(RunRequest(job=name))
        runner = PlayedRunner(self.ledger, run.id)
        runner.begin()
        runner.succeed()
        self.loops.collect()
        return run

    def sends(self) -> list[tuple[str, int]]:
        """Send all that is due; return the kinds of the messages, with how many notices each holds."""
        sent = []
        while (message := self.loops.claim()) is not None:
            self.loops.sent(message)
            sent.append((message.kind, len(message.items)))
        return sent


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(datetime(2026, 3, 2, 3, 0, tzinfo=UTC))


@pytest.fixture
def notifying(db_url: str, tmp_path: Path, clock: MovedClock) -> Iterator[NotifyingLedger]:
    """On each of the two databases."""
    yield from _notifying(db_url, tmp_path, clock)


@pytest.fixture
def notifying_on_sqlite(tmp_path: Path, clock: MovedClock) -> Iterator[NotifyingLedger]:
    """On SQLite."""
    yield from _notifying(f"sqlite:///{tmp_path}/respawn.db", tmp_path, clock)


def _notifying(url: str, tmp_path: Path, clock: Callable[[], datetime]) -> Iterator[NotifyingLedger]:
    database = Database(url)
    database.prepare()
    ledger = Ledger(database, BlobStore((tmp_path / "blobs").as_uri()), clock=clock)
    counts = Counts()
    ledger.attach(Rules(), counts)
    assert isinstance(clock, MovedClock)
    yield NotifyingLedger(ledger, clock, counts)
    ledger.close()
