"""The scheduler queues what is due at the very second, and rests exactly until the next due time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from respawn_hub.loops.scheduler import Scheduler
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ScheduleRequest
from respawn_jobs.ledger import Ledger
from support.clocks import MovedClock
from support.notebooks import notebook, text


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


def test_a_run_is_expected_once_just_before_it_is_due(ledger: Ledger, clock: MovedClock) -> None:
    service = ledger.as_actor(Actor.owner("ada"))
    service.promote(Promotion(name="report", notebook=text(notebook("1 + 1"))))
    service.schedule(ScheduleRequest(job="report", cron="0 12 * * *", tz="UTC"))
    expected: list[datetime] = []
    due = clock.now + timedelta(seconds=0.6)
    scheduler = Scheduler(ledger, lambda: None, expected=lambda: expected.append(clock.now), clock=clock)

    clock.now = due - timedelta(seconds=10)
    scheduler.tick()
    assert expected == []
    clock.now = due - timedelta(seconds=2)
    scheduler.tick()
    scheduler.tick()
    assert expected == [clock.now]


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
