"""A job that was due and has not succeeded by its deadline is told of once a day, with what it is doing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger.deadlines import next_deadline
from respawn_jobs.policies import Deadline
from respawn_jobs.service import ResumeRequest, RunRequest, ScheduleRequest
from support.runners import PlayedRunner
from support.telling import Told

SIX = {"time": "06:00", "tz": "UTC"}


def nightly(told: Told, **settings: Any) -> None:
    """A job that is due each night at 03:30 and must have succeeded by 06:00; it is 03:00."""
    told.promote(deadline=settings.pop("deadline", SIX), **settings)
    told.ada.schedule(
        ScheduleRequest(job="report", cron="30 3 * * *", tz="UTC", missed=settings.get("missed", "latest"))
    )


def due(told: Told, at: str) -> str:
    """Move the clock to a due time and queue its run."""
    told.clock.set(at)
    return told.ledger.queue_due()[0]


def missed(told: Told, at: str) -> str | None:
    """Move the clock, look at the deadlines, and return what the job is said to do; None for nothing."""
    told.clock.set(at)
    told.loops.check_deadlines()
    message = told.loops.claim()
    if message is None:
        return None
    assert message.kind == "deadline"
    told.loops.sent(message)
    return message.items[0].doing


def test_a_job_that_still_runs_is_told_with_its_cell_once_for_the_day(told: Told) -> None:
    nightly(told)
    runner = PlayedRunner(told.ledger, due(told, "2026-03-02T03:30+00:00"))
    runner.begin()
    runner.execute(0, checkpoint=False)
    runner.start(1)
    assert missed(told, "2026-03-02T05:59:59+00:00") is None
    assert missed(told, "2026-03-02T06:00:01+00:00") == "running, cell 2 of 2"
    assert missed(told, "2026-03-02T06:00:02+00:00") is None
    assert told.loops.next_deadline() == datetime(2026, 3, 3, 6, tzinfo=UTC)


def test_a_job_that_succeeded_in_time_is_not_told(told_here: Told) -> None:
    nightly(told_here)
    PlayedRunner(told_here.ledger, due(told_here, "2026-03-02T03:30+00:00")).succeed()
    assert missed(told_here, "2026-03-02T06:00+00:00") is None


def test_a_job_that_failed_and_was_mended_in_time_is_not_told(told_here: Told) -> None:
    nightly(told_here)
    failed = due(told_here, "2026-03-02T03:30+00:00")
    PlayedRunner(told_here.ledger, failed).fail(1)
    told_here.clock.set("2026-03-02T05:00:00+00:00")
    again = told_here.ada.restart(failed, ResumeRequest())
    PlayedRunner(told_here.ledger, again.id).succeed()
    assert missed(told_here, "2026-03-02T06:00+00:00") is None


def test_a_failed_job_is_told_with_its_error(told_here: Told) -> None:
    nightly(told_here)
    PlayedRunner(told_here.ledger, due(told_here, "2026-03-02T03:30+00:00")).fail(1)
    assert missed(told_here, "2026-03-02T06:00+00:00") == "failed: KeyError: 'price'"


def test_a_queued_job_is_told_with_why_it_waits(told_here: Told) -> None:
    nightly(told_here)
    due(told_here, "2026-03-02T03:30+00:00")
    said = missed(told_here, "2026-03-02T06:00+00:00")
    assert said is not None
    assert said.startswith("queued")


def test_a_time_that_made_no_run_is_told(told_here: Told) -> None:
    nightly(told_here)
    said = missed(told_here, "2026-03-02T08:00+00:00")
    assert said == "no run was made for 03:30: the service was down"


def test_a_day_on_which_nothing_was_due_is_not_told(told_here: Told) -> None:
    told_here.promote(deadline=SIX)
    assert missed(told_here, "2026-03-02T06:00+00:00") is None


def test_a_run_that_a_person_asked_for_counts_and_yesterdays_does_not(told_here: Told) -> None:
    told_here.promote(deadline=SIX)
    told_here.ada.run(RunRequest(job="report"))
    assert (missed(told_here, "2026-03-02T06:00+00:00") or "").startswith("queued")
    assert missed(told_here, "2026-03-03T06:00+00:00") is None


def test_of_several_missed_days_the_latest_is_told(told_here: Told) -> None:
    nightly(told_here)
    assert missed(told_here, "2026-03-06T07:00+00:00") is not None
    assert missed(told_here, "2026-03-06T07:01+00:00") is None


def test_a_success_after_the_deadline_is_told_as_a_recovery(told_here: Told) -> None:
    nightly(told_here)
    runner = PlayedRunner(told_here.ledger, due(told_here, "2026-03-02T03:30+00:00"))
    assert missed(told_here, "2026-03-02T06:00+00:00") is not None
    told_here.clock.set("2026-03-02T06:40:00+00:00")
    runner.succeed()
    told_here.loops.collect()
    message = told_here.loops.claim()
    assert message is not None
    assert message.kind == "recovery"
    assert message.items[0].deadline == datetime(2026, 3, 2, 6, tzinfo=UTC)


def test_a_deadline_follows_the_settings_and_stays_when_others_change(told_here: Told) -> None:
    told_here.promote(deadline=SIX)
    assert told_here.loops.next_deadline() == datetime(2026, 3, 2, 6, tzinfo=UTC)
    told_here.clock.set("2026-03-02T06:30:00+00:00")
    told_here.promote(deadline=SIX, priority=3)
    assert told_here.loops.next_deadline() == datetime(2026, 3, 2, 6, tzinfo=UTC), "not looked at yet"
    told_here.promote(deadline={"time": "07:15", "tz": "Europe/Berlin"})
    assert told_here.loops.next_deadline() == datetime(2026, 3, 3, 6, 15, tzinfo=UTC)
    told_here.promote()
    assert told_here.loops.next_deadline() is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"deadline": {"time": "06:00", "tz": "Mars/Base"}}, "not a time zone"),
        ({"deadline": SIX, "notify": []}, "nobody to tell"),
    ],
)
def test_a_deadline_that_cannot_be_is_refused(told_here: Told, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        told_here.promote(**settings)


@pytest.mark.parametrize(
    ("day", "instant"),
    [
        ("2026-03-29", "2026-03-29T01:00"),  # 02:30 does not exist: right after the gap
        ("2026-10-25", "2026-10-25T00:30"),  # 02:30 exists twice: once, and not again
        ("2026-07-01", "2026-07-01T00:30"),
    ],
)
def test_a_deadline_comes_once_on_the_days_when_clocks_change(day: str, instant: str) -> None:
    deadline = Deadline(time="02:30", tz="Europe/Berlin")
    midnight = datetime.fromisoformat(f"{day}T00:00+01:00") - timedelta(hours=1)
    first = next_deadline(deadline, midnight)
    assert first == datetime.fromisoformat(f"{instant}+00:00")
    assert next_deadline(deadline, first) - first > timedelta(hours=22)


def test_runs_that_were_skipped_hide_no_run_that_hangs(told: Told) -> None:
    told.promote(deadline=SIX, overlap="skip")
    told.ada.schedule(ScheduleRequest(job="report", cron="* * * * *", tz="UTC"))
    hangs = PlayedRunner(told.ledger, due(told, "2026-03-02T03:30+00:00"))
    hangs.begin()
    hangs.start(0)
    for minute in range(31, 180):
        due(told, f"2026-03-02T{3 + minute // 60:02}:{minute % 60:02}+00:00")
    assert missed(told, "2026-03-02T06:00:01+00:00") == "running, cell 1 of 2"
