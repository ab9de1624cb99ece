"""A job that was due and has not succeeded by its deadline is reported once a day, with what it is doing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from respawn_jobs.api.service import ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger.notices.deadlines import next_deadline
from respawn_jobs.model.settings import Deadline
from support.notifying import NotifyingLedger
from support.runners import PlayedRunner

SIX = {"time": "06:00", "tz": "UTC"}


def nightly(notifying: NotifyingLedger, **settings: Any) -> None:
    """A job that is due each night at 03:30 and must have succeeded by 06:00; it is 03:00."""
    notifying.promote(deadline=settings.pop("deadline", SIX), **settings)
    notifying.ada.schedule(
        ScheduleRequest(job="report", cron="30 3 * * *", tz="UTC", missed=settings.get("missed", "latest"))
    )


def due(notifying: NotifyingLedger, at: str) -> str:
    """Move the clock to a due time and queue its run."""
    notifying.clock.set(at)
    return notifying.ledger.queue_due()[0]


def missed(notifying: NotifyingLedger, at: str) -> str | None:
    """Move the clock, look at the deadlines, and return what the job is said to do; None for nothing."""
    notifying.clock.set(at)
    notifying.loops.check_deadlines()
    message = notifying.loops.claim()
    if message is None:
        return None
    assert message.kind == "deadline"
    notifying.loops.sent(message)
    return message.items[0].doing


def test_a_job_that_still_runs_is_told_with_its_cell_once_for_the_day(notifying: NotifyingLedger) -> None:
    nightly(notifying)
    runner = PlayedRunner(notifying.ledger, due(notifying, "2026-03-02T03:30+00:00"))
    runner.begin()
    runner.execute(0, checkpoint=False)
    runner.start(1)
    assert missed(notifying, "2026-03-02T05:59:59+00:00") is None
    assert missed(notifying, "2026-03-02T06:00:01+00:00") == "running, cell 2 of 2"
    assert missed(notifying, "2026-03-02T06:00:02+00:00") is None
    assert notifying.loops.next_deadline() == datetime(2026, 3, 3, 6, tzinfo=UTC)


def test_a_job_that_succeeded_in_time_is_not_told(notifying_on_sqlite: NotifyingLedger) -> None:
    nightly(notifying_on_sqlite)
    PlayedRunner(notifying_on_sqlite.ledger, due(notifying_on_sqlite, "2026-03-02T03:30+00:00")).succeed()
    assert missed(notifying_on_sqlite, "2026-03-02T06:00+00:00") is None


def test_a_job_that_failed_and_was_fixed_in_time_is_not_told(notifying_on_sqlite: NotifyingLedger) -> None:
    nightly(notifying_on_sqlite)
    failed = due(notifying_on_sqlite, "2026-03-02T03:30+00:00")
    PlayedRunner(notifying_on_sqlite.ledger, failed).fail(1)
    notifying_on_sqlite.clock.set("2026-03-02T05:00:00+00:00")
    again = notifying_on_sqlite.ada.restart(failed, ResumeRequest())
    PlayedRunner(notifying_on_sqlite.ledger, again.id).succeed()
    assert missed(notifying_on_sqlite, "2026-03-02T06:00+00:00") is None


def test_a_failed_job_is_told_with_its_error(notifying_on_sqlite: NotifyingLedger) -> None:
    nightly(notifying_on_sqlite)
    PlayedRunner(notifying_on_sqlite.ledger, due(notifying_on_sqlite, "2026-03-02T03:30+00:00")).fail(1)
    assert missed(notifying_on_sqlite, "2026-03-02T06:00+00:00") == "failed: KeyError: 'price'"


def test_a_queued_job_is_told_with_why_it_waits(notifying_on_sqlite: NotifyingLedger) -> None:
    nightly(notifying_on_sqlite)
    due(notifying_on_sqlite, "2026-03-02T03:30+00:00")
    said = missed(notifying_on_sqlite, "2026-03-02T06:00+00:00")
    assert said is not None
    assert said.startswith("queued")


def test_a_time_that_made_no_run_is_told(notifying_on_sqlite: NotifyingLedger) -> None:
    nightly(notifying_on_sqlite)
    said = missed(notifying_on_sqlite, "2026-03-02T08:00+00:00")
    assert said == "no run was made for 03:30: the service was down"


def test_a_day_on_which_nothing_was_due_is_not_told(notifying_on_sqlite: NotifyingLedger) -> None:
    notifying_on_sqlite.promote(deadline=SIX)
    assert missed(notifying_on_sqlite, "2026-03-02T06:00+00:00") is None


def test_a_run_that_a_person_asked_for_counts_and_yesterdays_does_not(
    notifying_on_sqlite: NotifyingLedger,
) -> None:
    notifying_on_sqlite.promote(deadline=SIX)
    notifying_on_sqlite.ada.run(RunRequest(job="report"))
    assert (missed(notifying_on_sqlite, "2026-03-02T06:00+00:00") or "").startswith("queued")
    assert missed(notifying_on_sqlite, "2026-03-03T06:00+00:00") is None


def test_of_several_missed_days_the_latest_is_told(notifying_on_sqlite: NotifyingLedger) -> None:
    nightly(notifying_on_sqlite)
    assert missed(notifying_on_sqlite, "2026-03-06T07:00+00:00") is not None
    assert missed(notifying_on_sqlite, "2026-03-06T07:01+00:00") is None


def test_a_success_after_the_deadline_is_told_as_a_recovery(notifying_on_sqlite: NotifyingLedger) -> None:
    nightly(notifying_on_sqlite)
    runner = PlayedRunner(notifying_on_sqlite.ledger, due(notifying_on_sqlite, "2026-03-02T03:30+00:00"))
    assert missed(notifying_on_sqlite, "2026-03-02T06:00+00:00") is not None
    notifying_on_sqlite.clock.set("2026-03-02T06:40:00+00:00")
    runner.succeed()
    notifying_on_sqlite.loops.collect()
    message = notifying_on_sqlite.loops.claim()
    assert message is not None
    assert message.kind == "recovery"
    assert message.items[0].deadline == datetime(2026, 3, 2, 6, tzinfo=UTC)


def test_a_deadline_follows_the_settings_and_stays_when_others_change(
    notifying_on_sqlite: NotifyingLedger,
) -> None:
    notifying_on_sqlite.promote(deadline=SIX)
    assert notifying_on_sqlite.loops.next_deadline() == datetime(2026, 3, 2, 6, tzinfo=UTC)
    notifying_on_sqlite.clock.set("2026-03-02T06:30:00+00:00")
    notifying_on_sqlite.promote(deadline=SIX, priority=3)
    assert notifying_on_sqlite.loops.next_deadline() == datetime(2026, 3, 2, 6, tzinfo=UTC), (
        "not looked at yet"
    )
    notifying_on_sqlite.promote(deadline={"time": "07:15", "tz": "Europe/Berlin"})
    assert notifying_on_sqlite.loops.next_deadline() == datetime(2026, 3, 3, 6, 15, tzinfo=UTC)
    notifying_on_sqlite.promote()
    assert notifying_on_sqlite.loops.next_deadline() is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"deadline": {"time": "06:00", "tz": "Mars/Base"}}, "not a time zone"),
        ({"deadline": SIX, "notify": []}, "nobody to tell"),
    ],
)
def test_a_deadline_that_cannot_be_is_refused(
    notifying_on_sqlite: NotifyingLedger, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        notifying_on_sqlite.promote(**settings)


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


def test_runs_that_were_skipped_hide_no_run_that_hangs(notifying: NotifyingLedger) -> None:
    notifying.promote(deadline=SIX, overlap="skip")
    notifying.ada.schedule(ScheduleRequest(job="report", cron="* * * * *", tz="UTC"))
    hangs = PlayedRunner(notifying.ledger, due(notifying, "2026-03-02T03:30+00:00"))
    hangs.begin()
    hangs.start(0)
    for minute in range(31, 180):
        due(notifying, f"2026-03-02T{3 + minute // 60:02}:{minute % 60:02}+00:00")
    assert missed(notifying, "2026-03-02T06:00:01+00:00") == "running, cell 1 of 2"
