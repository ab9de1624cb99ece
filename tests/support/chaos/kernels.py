"""Chaos with the real thing: services as processes, their runners, IPython kernels; in the machine's time.

A backfill runs one notebook with many parameters on two replicas. Meanwhile kernels, runners and replicas are
killed and the database's connections are cut. Each run's notebook says in its last cell what it has computed
over all of them, so a state that was brought back wrongly shows.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from respawn_jobs.access import Actor
from respawn_jobs.api.backfills import BackfillRequest
from respawn_jobs.api.service import Service
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import RespawnError
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import Run
from respawn_jobs.store.database import Database
from support.chaos.sums import JOB, broken_promises, effects_in, errors_in, promotion, wrong_with
from support.lonely import LonelyService, answering_hub, start_service
from support.processes import command_of
from support.waiting import wait_for

WEIGHTS = {"kill a kernel": 5, "kill a runner": 3, "kill a replica": 2, "cut connections": 2}
_PARTS = {"kill a kernel": "ipykernel_launcher", "kill a runner": "respawn_jobs.runner.worker"}
_LEASE_SECONDS = 5.0
_TIME_LIMIT_SECONDS = 60.0
"""For each run: what is waited at most for all of them."""


@dataclass
class Story:
    """What came of it."""

    seed: int
    runs: list[Run] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    resumed: int = 0
    """Attempts that went on from a kept state instead of the first cell."""
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    """The promises that were broken."""
    log: str = ""
    """What the services said, when a promise was broken."""


def run(
    seed: int, parameters: int, strikes: int, directory: Path, db_url: str, cut: Callable[[], int]
) -> Story:
    """Execute `parameters` runs while `strikes` faults are done, and return what came of it.

    Args:
        seed: what chance follows from.
        parameters: how many runs the backfill makes.
        strikes: how many faults; some find nothing to hit.
        directory: where blobs and all else goes.
        db_url: a PostgreSQL database with today's schema.
        cut: ends every connection to it, and returns how many there were.
    """
    began = time.monotonic()
    story, chance = Story(seed), random.Random(seed)
    effects = directory / "effects"
    effects.touch()
    ledger = Ledger(Database(db_url), BlobStore((directory / "blobs").as_uri()))
    ada = ledger.as_actor(Actor.owner("ada"))
    try:
        ada.promote(promotion(effects))
        sets = [{"n": number} for number in range(parameters)]
        ada.backfill(BackfillRequest(job=JOB, sets=sets, parallel=4))
        with _replicas(2, directory, db_url) as replicas:
            _disturb(story, chance, strikes, replicas, ada, parameters, cut)
            replicas.recover()
            wait_for(lambda: _ended(ada, parameters), _TIME_LIMIT_SECONDS * parameters, "all runs to end")
        _judge(story, ada, ledger, effects)
    finally:
        ledger.close()
    story.seconds = time.monotonic() - began
    return story


class _Replicas:
    """Services that are started again when they were killed."""

    def __init__(self, directory: Path, db_url: str, hub_port: int) -> None:
        self.services: dict[int, LonelyService] = {}
        """By their numbers, each of which has a data directory of its own."""
        self._directory = directory
        self._hub_port = hub_port
        self._environment = {
            "RESPAWN_DB_URL": db_url,
            "RESPAWN_BLOBS_URL": (directory / "blobs").as_uri(),
            "RESPAWN_COOKIE_SECRET": "the same for all replicas, and known to nobody",
            "RESPAWN_LEASE_SECONDS": str(_LEASE_SECONDS),
            "RESPAWN_MAX_RUNNING": "2",
        }
        self._seen: set[psutil.Process] = set()

    def start(self, number: int) -> None:
        """Start one, or start it again where it was."""
        data = self._directory / f"data-{number}"
        self.services[number] = start_service(
            data, self._hub_port, log=self._directory / "log", **self._environment
        )

    def recover(self) -> None:
        """Start those again that are gone."""
        for number, service in list(self.services.items()):
            if service.process.poll() is not None:
                self.start(number)

    def processes(self, part: str) -> list[psutil.Process]:
        """Return the processes of all services with this part of a command line."""
        found: list[psutil.Process] = []
        for service in self.services.values():
            with suppress(psutil.Error):
                found += service.processes()
        self._seen.update(found)
        return sorted((one for one in found if part in " ".join(command_of(one))), key=lambda one: one.pid)

    def close(self) -> None:
        """End all services; what they started must end with them."""
        self.processes("")
        for service in self.services.values():
            service.process.terminate()
        for service in self.services.values():
            service.process.wait(60)
        left = psutil.wait_procs(list(self._seen), timeout=20)[1]
        for one in left:
            one.kill()
        assert not left, f"left behind: {left}"


@contextmanager
def _replicas(count: int, directory: Path, db_url: str) -> Iterator[_Replicas]:
    with answering_hub() as hub_port:
        replicas = _Replicas(directory, db_url, hub_port)
        try:
            for number in range(count):
                replicas.start(number)
            for service in replicas.services.values():
                wait_for(service.healthy, 60, "a replica")
            yield replicas
        finally:
            replicas.close()


def _disturb(
    story: Story,
    chance: random.Random,
    strikes: int,
    replicas: _Replicas,
    ada: Service,
    parameters: int,
    cut: Callable[[], int],
) -> None:
    """Inject the faults one after the other, a kernel's first, until all runs have ended."""
    wait_for(lambda: replicas.processes(_PARTS["kill a kernel"]), 60, "a kernel")
    for done in range(strikes):
        until = time.monotonic() + chance.uniform(0.3, 2.5)
        wait_for(lambda until=until: time.monotonic() >= until, 10, "the next fault")
        replicas.recover()
        if _ended(ada, parameters):
            return
        kind = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0] if done else "kill a kernel"
        if kind == "cut connections":
            cut()
        elif kind == "kill a replica":
            chance.choice(list(replicas.services.values())).process.kill()
        else:
            found = replicas.processes(_PARTS[kind])
            if not found:
                continue
            with suppress(psutil.NoSuchProcess):
                chance.choice(found).kill()
        story.faults[kind] += 1


def _ended(ada: Service, parameters: int) -> bool:
    with suppress(RespawnError):  # the connections were just cut
        states = [run.state for run in ada.runs(job=JOB, limit=10 * parameters)]
        return len(states) >= parameters and all(state.final for state in states)
    return False


def _judge(story: Story, ada: Service, ledger: Ledger, effects: Path) -> None:
    """Look at all that must be so."""
    story.wrong = broken_promises(ledger, effects.parent)
    log = effects.with_name("log").read_text()
    story.wrong += errors_in(log)
    if story.wrong:
        story.log = log
    story.runs = ada.runs(job=JOB, limit=1000)
    [made] = ada.backfills()
    done = effects_in(effects)
    numbers = sorted(run.parameters["n"] for run in story.runs)
    if numbers != list(range(made.total)):
        story.wrong.append(f"the backfill made runs of {numbers}")
    for run in story.runs:
        of_run = [effect for effect in done if effect.n == run.parameters["n"]]
        story.wrong += wrong_with(ada, run, of_run)
        detail = ada.show(run.id)
        story.attempts += len(detail.attempts)
        story.resumed += sum("continues from cell" in (one.note or "") for one in detail.attempts)
