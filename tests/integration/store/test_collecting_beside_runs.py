"""Runs and collectors at once, on both databases: no blob that a record names is ever missing."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select

from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import ArtifactCommit, CheckpointCommit, Outcome
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.blobs.artifact_parts import sealed
from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.blobs import references
from respawn_jobs.model.artifacts import Artifact, ArtifactPart
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.runs import CellError, CellState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.service_tables import RunOutboxRow
from respawn_jobs.store.tables import BlobRow, RunRow
from respawn_kernels.digest import digest_of
from support.notebooks import notebook, text
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
_WRITERS, _ROUNDS = 3, 2
_HOURS_AT_ONCE = 30


class HurriedClock:
    """A clock that jumps past the grace now and then, as if everybody had slept in the middle of a call."""

    def __init__(self, seed: int) -> None:
        self._now = datetime(2026, 3, 2, tzinfo=UTC)
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            self._now += timedelta(milliseconds=1)
            if self._random.random() < 0.02:
                self._now += timedelta(hours=self._random.uniform(0.5, _HOURS_AT_ONCE))
            return self._now

    def forward(self, **delta: float) -> None:
        with self._lock:
            self._now += timedelta(**delta)


class Writer:
    """Plays runs that store the same few blobs as all other writers, and names them."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self._ledger = ledger
        self._person = ledger.as_actor(Actor.owner("ada"))
        self._random = random.Random(seed)
        self.refused = 0

    def play(self) -> None:
        run = self._person.run(RunRequest(job="report")).id
        for _ in range(_ROUNDS):
            self._attempt(run)
            run = self._insist(lambda run=run: self._person.resume(run, ResumeRequest())).id

    def _attempt(self, run: str) -> None:
        runner = PlayedRunner(self._ledger, run)
        self._insist(runner.begin)
        for number in range(1, 4):
            commit = self._checkpoint()
            self._named(
                runner, [commit.checkpoint.manifest, *commit.blobs], runner.port.commit_checkpoint, commit
            )
            data = sealed(run, b"model %d" % (number % 2))
            part = ArtifactPart(digest=digest_of(data), size=len(data) - len(sealed(run, b"")))
            saved = Artifact(
                name="model", number=number, kind="bytes", type="bytes", file="m.bin", size=part.size,
                saved_at=datetime.now(UTC), cell=0, parts=[part],
            )  # fmt: skip
            self._named(
                runner,
                [part.digest],
                runner.port.commit_artifact,
                ArtifactCommit(artifact=saved),
                {part.digest: data},
            )
        output = _blob(self._random.randrange(4))
        event = runner.event(0, CellState.EXECUTED, outputs=output[0])
        self._named(runner, [output[0]], runner.port.record, [event])
        error = CellError(cell=1, name="KeyError", value="")
        self._insist(lambda: runner.port.finish(Outcome(state="failed", error=error)))

    def _checkpoint(self) -> CheckpointCommit:
        digests = [_blob(number)[0] for number in self._random.sample(range(4), 2)]
        checkpoint = Checkpoint(cell=0, manifest=digests[0], variables=1, size=9)
        return CheckpointCommit(checkpoint=checkpoint, blobs=digests)

    def _named(self, runner, digests, commit, what, known=None) -> None:
        """Store what is missing, as runners do, and name it; again when it was collected in between."""
        known = known or dict(map(_blob, range(4)))

        def store_and_name() -> None:
            for digest in runner.port.missing(digests):
                runner.port.put_blob(digest, known[digest])
            commit(what)

        self._insist(store_and_name)

    def _insist(self, work):
        for _ in range(200):
            try:
                return work()
            except (Unavailable, InvalidInput):
                self.refused += 1
                self._ledger._context.clock.forward(seconds=1)
        raise AssertionError("refused two hundred times")


def _blob(number: int) -> tuple[str, bytes]:
    data = b"shared by all runs: %d" % number
    return digest_of(data), data


@pytest.fixture
def clock() -> HurriedClock:
    return HurriedClock(7)


@pytest.fixture
def ledger(db_url: str, tmp_path: Path, clock: HurriedClock) -> Iterator[Ledger]:
    opened = Ledger.open(db_url, (tmp_path / "blobs").as_uri(), clock=clock, lease_seconds=10**9)
    yield opened
    opened.close()


@pytest.mark.long
def test_no_blob_that_a_record_names_is_ever_missing(ledger: Ledger, clock: HurriedClock) -> None:
    person = ledger.as_actor(Actor.owner("ada"))
    settings = JobSettings(keep_runs=2, keep_days=1000.5)
    person.promote(Promotion(name="report", notebook=text(notebook("a = 1", "b = a")), settings=settings))
    writers = [Writer(ledger, seed) for seed in range(_WRITERS)]
    ended, failures, removed = threading.Event(), [], []

    def guarded(work) -> None:
        try:
            work()
        except Exception as error:  # told at the end, by the test
            failures.append(error)

    def collect() -> None:
        collector = ledger.collector()
        while not ended.wait(0.01):  # a breath, for the writers' sake
            removed.append(collector.step().removed)

    collectors = [threading.Thread(target=guarded, args=(collect,)) for _ in range(2)]
    threads = [threading.Thread(target=guarded, args=(writer.play,)) for writer in writers]
    for thread in [*collectors, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    for thread in collectors:
        thread.join()
    assert failures == []
    assert _old_runs_removed_twice_at_once(ledger, clock) > 0
    assert _unnamed_after_all(ledger, clock) == set()
    named = _named(ledger)
    assert len(named) > 4
    for digest in named:
        ledger.blobs.get(digest)  # verified
    assert sum(removed) > 0


def _old_runs_removed_twice_at_once(ledger: Ledger, clock: HurriedClock) -> int:
    """Let two replicas remove old runs, and return how many are gone: each run once."""
    clock.forward(days=3)
    with ledger.database.session(write=True) as session:
        session.execute(delete(RunOutboxRow))
        before = session.scalar(select(func.count(RunRow.id))) or 0
    removed: list[int] = []
    threads = [
        threading.Thread(target=lambda: removed.append(sum(ledger.remove_old_runs().values())))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.database.session() as session:
        assert (session.scalar(select(func.count(RunRow.id))) or 0) == before - sum(removed)
    assert len(removed) == 2
    return sum(removed)


def _unnamed_after_all(ledger: Ledger, clock: HurriedClock) -> set[str]:
    """Collect until all is done, and return the stored blobs that nothing names."""
    collector = ledger.collector()
    for _ in range(4):
        clock.forward(days=2)
        collector.step()
    stored = {digest for _, digest in ledger.blobs.listed() if digest is not None}
    with ledger.database.session() as session:
        rows = set(session.scalars(select(BlobRow.digest)))
    assert rows == stored
    return stored - _named(ledger)


def _named(ledger: Ledger) -> set[str]:
    with ledger.database.session() as session:
        return {digest for page in references.all_named(session) for digest in page}
