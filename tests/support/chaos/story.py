"""A chaos test from its beginning to its verdict: `run` with a `Plan`."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import RespawnError
from respawn_jobs.ledger import Ledger
from respawn_jobs.store.database import Database
from support.chaos.checker import Case, Violation
from support.chaos.injector import FaultInjector
from support.chaos.journal import Journal
from support.chaos.replicas import Replicas, running_replicas
from support.chaos.simulated import SimulatedClock
from support.chaos.stable import FakeKernel
from support.chaos.world import PER_MINUTE, Frozen, World
from support.waiting import wait_for

# Five simulated minutes before the clocks of Berlin go forward.
_BASE = datetime(2027, 3, 28, 0, 54, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """What a chaos test does."""

    seed: int
    due_times: int
    """About how many times come due while things go wrong."""
    strikes: int
    """How many faults are done; some find nothing to hit."""
    rate: float = 40.0
    """Simulated seconds in a real one."""
    replicas: int = 2
    places: int = 4
    """How many runs each replica executes at once."""
    lease: float = 3.0
    """Real seconds that a runner may be silent."""
    time_limit: float = 240.0
    """Real seconds that each part may take."""

    @property
    def minutes(self) -> float:
        """How long things go wrong, in simulated minutes."""
        return self.due_times / PER_MINUTE


@dataclass
class Report:
    """What came of it."""

    plan: Plan
    due_times: int = 0
    runs: int = 0
    attempts: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    acts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    recoveries: list[float] = field(default_factory=list)
    """For each killed runner, real seconds until its run was taken up by another or had ended."""
    violations: list[Violation] = field(default_factory=list)
    story: str = ""
    """When something is wrong: the faults, the runs concerned with their attempts, and the logs."""

    def as_dict(self) -> dict[str, Any]:
        """Return the figures."""
        recovered = sorted(self.recoveries)
        return {
            "seed": self.plan.seed, "due_times": self.due_times, "runs": self.runs, "attempts": self.attempts,
            "faults": dict(self.faults), "faults_in_all": self.faults.total(), "acts": self.acts,
            "seconds": round(self.seconds, 1), "violations": [vars(found) for found in self.violations],
            "recovered": len(recovered),
            "recovery_median_s": round(statistics.median(recovered), 2) if recovered else None,
            "recovery_p99_s": round(recovered[int(0.99 * (len(recovered) - 1))], 2) if recovered else None,
        }  # fmt: skip


def run(plan: Plan, directory: Path, db_url: str, cut: Callable[[], int] | None = None) -> Report:
    """Run a chaos test and return what came of it.

    Args:
        plan: what is done.
        directory: where blobs, logs and the journal go.
        db_url: a database with today's schema.
        cut: ends every connection to it, and returns how many there were.
    """
    began = time.monotonic()
    chance = random.Random(plan.seed)
    clock = SimulatedClock.starting(_BASE, plan.rate, directory / "clock")
    blobs_url = (directory / "blobs").as_uri()
    ledger = Ledger(
        Database(db_url), BlobStore(blobs_url), clock=clock,
        lease_seconds=plan.lease * plan.rate, new_kernel_check=FakeKernel,
    )  # fmt: skip
    journal = Journal(directory / "journal")
    world = World(ledger, chance)
    common = {
        "db_url": db_url, "blobs_url": blobs_url, "seed": plan.seed, "places": plan.places,
        "lease_seconds": plan.lease * plan.rate,
    }  # fmt: skip
    try:
        world.found()
        with running_replicas(plan.replicas, directory, clock, **common) as replicas:
            injector = FaultInjector(replicas, journal, clock, chance, plan.lease, cut)
            _disturb(plan, world, injector)
            frozen = _calm(plan, world, injector, replicas)
            report = _report(plan, Case(ledger, journal, frozen), world, injector)
            if report.violations:
                report.story = _story(Case(ledger, journal, frozen), report, replicas)
        report.seconds = time.monotonic() - began
        return report
    finally:
        journal.close()
        ledger.close()
        clock.close()


def _disturb(plan: Plan, world: World, injector: FaultInjector) -> None:
    """Inject all faults, spread over simulated time, with people acting in between."""
    chance = injector.chance
    began = injector.clock.passed()
    strikes = sorted(chance.uniform(0.05, 1) * plan.minutes * 60 for _ in range(plan.strikes))
    acts = sorted(chance.uniform(0.1, 1) * plan.minutes * 60 for _ in range(plan.strikes // 2))

    def over() -> bool:
        passed = injector.clock.passed() - began
        if strikes and strikes[0] <= passed:
            strikes.pop(0)
            injector.strike()
        if acts and acts[0] <= passed:
            acts.pop(0)
            world.act()
        _attend(plan, world, injector)
        return passed >= plan.minutes * 60 and not strikes

    wait_for(over, plan.time_limit, "the faults to be done", interval=0.05)


def _calm(plan: Plan, world: World, injector: FaultInjector, replicas: Replicas) -> list[Frozen]:
    """Let everything run, stop the schedules once they have caught up, and wait until all has ended."""
    injector.recover(everything=True)
    enough = injector.clock()

    def caught_up() -> bool:
        _attend(plan, world, injector)
        decided = _asked(world.decided_until)
        return decided is not None and decided >= enough

    def quiet() -> bool:
        return _attend(plan, world, injector) == 0

    try:
        wait_for(caught_up, plan.time_limit, "the schedules to catch up")
        frozen = world.freeze()
        wait_for(quiet, plan.time_limit, "all runs to end")
    except AssertionError as error:
        left = (_asked(world.unfinished) or [])[:3]
        case = Case(world.ledger, injector.journal, [])
        attempts = "\n".join(line for run in left for line in case.attempts_of(run))
        raise AssertionError(f"seed {plan.seed}: {error}\n{attempts}\n{replicas.logs()}") from error
    return frozen


def _attend(plan: Plan, world: World, injector: FaultInjector) -> int | None:
    """Look after what goes on all the time; return how many runs have not ended, where that is known.

    Time runs slower while more runs wait than can be executed, or others keep the machine busy: what is
    tested is what happens between events, not how many of them a machine can take in a second.
    """
    injector.recover()
    world.look_at_limits()
    unfinished = _asked(world.unfinished)
    waiting = len(unfinished or ())
    busy = os.getloadavg()[0] / (2 * (os.cpu_count() or 1))
    injector.clock.set_rate(plan.rate / max(1.0, waiting / (2 * plan.replicas * plan.places), busy))
    return None if unfinished is None else waiting


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except RespawnError:  # the database's connections are cut now and then
        return None


def _report(plan: Plan, case: Case, world: World, injector: FaultInjector) -> Report:
    violations = case.violations()
    violations += [Violation("limits", text) for text in world.too_many]
    runs = world.ada.runs(limit=1_000_000)
    return Report(
        plan, case.due_times(), len(runs), sum(run.attempt for run in runs), injector.done, world.acts,
        recoveries=_recoveries(case.journal), violations=violations,
    )  # fmt: skip


def _recoveries(journal: Journal) -> list[float]:
    """Return how long each killed attempt's run was without a runner."""
    starts: dict[str, list[float]] = {}
    for line in journal.lines("start"):
        starts.setdefault(line["run"], []).append(line["at"])
    waits = []
    for fault in journal.lines("fault"):
        if fault["what"] == "freeze a runner":
            continue
        for hit in fault["hit"]:
            later = [at for at in starts[hit["run"]] if at > fault["at"]]
            if later:
                waits.append(later[0] - fault["at"])
    return waits


def _story(case: Case, report: Report, replicas: Replicas) -> str:
    wrong = list(dict.fromkeys(run for found in report.violations for run in found.runs))[:5]
    return "\n".join(
        [
            f"seed {report.plan.seed}: {len(report.violations)} violations",
            *(f"  {found.rule}: {found.text}" for found in report.violations[:20]),
            "faults:",
            *(
                f"  {line['at']:.3f} {line['clock']} {line['what']} {line.get('replica', '')} {line['hit']}"
                for line in case.journal.lines("fault")
            ),
            *(line for run in wrong for line in case.attempts_of(run)),
            replicas.logs(),
        ]
    )
