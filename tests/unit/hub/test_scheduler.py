"""The scheduler queues what is due at the very second, and rests exactly until the next due time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from respawn_environments.kernelspecs import KernelInfo
from respawn_hub.loops.scheduler import Scheduler
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest
from respawn_jobs.executors.base import NEAR_SECONDS
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.context.context import InstalledKernel
from respawn_jobs.model.kernels import ForeseenRun, WantedKernel
from support.clocks import MovedClock
from support.notebooks import notebook, text

OTHER, LOCK = "another-kernel", "a" * 64


@pytest.fixture(autouse=True)
def kernels(ledger: Ledger) -> None:
    known = ledger._context.kernel_check

    def check(name: str) -> InstalledKernel:
        return KernelInfo(name, name, "python", LOCK) if name == OTHER else known(name)

    ledger._context.kernel_check = check


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(datetime(2026, 3, 1, 11, 59, 59, 400_000, tzinfo=UTC))


def test_a_due_schedule_is_queued_once_and_the_dispatcher_is_told(ledger: Ledger, clock: MovedClock) -> None:
    service = ledger.as_actor(Actor.owner("ada"))
    service.promote(Promotion(name="report", notebook=text(notebook("1 + 1"))))
    service.schedule(ScheduleRequest(job="report", cron="0 12 * * *", tz="UTC"))
    told: list[None] = []
    scheduler = Scheduler(ledger, lambda: told.append(None), clock=clock)

    assert scheduler.tick() == pytest.approx(0.6)
    assert ledger.queued() == []

    clock.now += timedelta(seconds=0.6)
    assert scheduler.tick() == 1.0
    scheduler.tick()

    (run,) = ledger.queued()
    assert run.trigger == "schedule"
    assert run.due_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert len(told) == 1


def test_the_kernels_of_what_is_due_are_expected_once_just_before(ledger: Ledger, clock: MovedClock) -> None:
    service = ledger.as_actor(Actor.owner("ada"))
    for name, cron, kernel in (("b", "0 12", "python3"), ("a", "0 12", OTHER), ("c", "1 12", "python3")):
        service.promote(Promotion(name=name, notebook=text(notebook("1 + 1")), kernel=kernel))
        service.schedule(ScheduleRequest(job=name, cron=f"{cron} * * *", tz="UTC"))
    expected: list[tuple[list[ForeseenRun], float]] = []
    due = clock.now + timedelta(seconds=0.6)
    scheduler = Scheduler(
        ledger, lambda: None, expected=lambda runs, seconds: expected.append(([*runs], seconds)), clock=clock
    )

    clock.now = due - timedelta(seconds=10)
    scheduler.tick()
    assert expected == []
    clock.now = due - timedelta(seconds=2)
    scheduler.tick()
    scheduler.tick()
    ((runs, seconds),) = expected
    assert seconds == NEAR_SECONDS
    assert sorted(runs) == [_of_ada(OTHER, LOCK), _of_ada("python3")]


def test_who_needs_longer_is_told_earlier_and_once_more_just_before(
    ledger: Ledger, clock: MovedClock
) -> None:
    service = ledger.as_actor(Actor.owner("ada"))
    for name in ("a", "b"):
        service.promote(Promotion(name=name, notebook=text(notebook("1 + 1"))))
        service.schedule(ScheduleRequest(job=name, cron="0 12 * * *", tz="UTC"))
    heard: list[tuple[int, float]] = []
    due = clock.now + timedelta(seconds=0.6)
    scheduler = Scheduler(
        ledger,
        lambda: None,
        expected=lambda runs, seconds: heard.append((len(runs), seconds)),
        ahead=90.0,
        clock=clock,
    )
    for before in (100, 80, 40, 4, 2):
        clock.now = due - timedelta(seconds=before)
        scheduler.tick()
    assert heard == [(2, 90.0), (2, NEAR_SECONDS)]


def _of_ada(kernel: str, lock: str | None = None) -> ForeseenRun:
    return ForeseenRun("user/ada", WantedKernel(kernel, lock))


def test_what_waits_is_foreseen_before_what_is_due_and_a_resume_is_not(
    ledger: Ledger, clock: MovedClock
) -> None:
    service = ledger.as_actor(Actor.owner("ada"))
    for name, kernel in (("waits", OTHER), ("due", "python3")):
        service.promote(Promotion(name=name, notebook=text(notebook("1 + 1")), kernel=kernel))
    service.schedule(ScheduleRequest(job="due", cron="0 12 * * *", tz="UTC"))
    for _ in range(2):
        service.run(RunRequest(job="waits"))
    until = clock.now + timedelta(days=1)
    waits, due = _of_ada(OTHER, LOCK), _of_ada("python3")
    assert ledger.foreseen(until) == [waits, waits, due]
    assert ledger.foreseen(until, limit=1) == [waits]
    assert ledger.foreseen(datetime(2020, 1, 1, tzinfo=UTC)) == [waits, waits]


def test_without_schedules_it_looks_again_after_a_second(ledger: Ledger, clock: MovedClock) -> None:
    assert Scheduler(ledger, lambda: None, clock=clock).tick() == 1.0


def test_a_due_schedule_that_cannot_be_queued_makes_no_haste(
    ledger: Ledger, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = ledger.as_actor(Actor.owner("ada"))
    service.promote(Promotion(name="report", notebook=text(notebook("1 + 1"))))
    service.schedule(ScheduleRequest(job="report", cron="0 12 * * *", tz="UTC"))
    monkeypatch.setattr(ledger, "queue_due", lambda: [])
    clock.now += timedelta(seconds=10)
    assert Scheduler(ledger, lambda: None, clock=clock).tick() == 1.0
