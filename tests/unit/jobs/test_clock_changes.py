"""Due times through the ledger, step by step: clocks that change, leap days, short months, jumps."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from respawn_jobs import cron as schedules
from respawn_jobs.api.service import Promotion, ScheduleRequest
from support.notebooks import notebook, text

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
FORWARD = {BERLIN: (2026, 3, 29), NEW_YORK: (2026, 3, 8), LORD_HOWE: (2026, 10, 4)}
BACK = {BERLIN: (2026, 10, 25), NEW_YORK: (2026, 11, 1), LORD_HOWE: (2026, 4, 5)}
MISSING = {BERLIN: "30 2 * * *", NEW_YORK: "30 2 * * *", LORD_HOWE: "15 2 * * *"}
AFTER_THE_GAP = {BERLIN: "03:00:00+02:00", NEW_YORK: "03:00:00-04:00", LORD_HOWE: "02:30:00+11:00"}
TWICE = {BERLIN: "30 2 * * *", NEW_YORK: "30 1 * * *", LORD_HOWE: "45 1 * * *"}
FIRST_TIME = {BERLIN: "02:30:00+02:00", NEW_YORK: "01:30:00-04:00", LORD_HOWE: "01:45:00+11:00"}
ZONES = pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE])


@pytest.fixture
def due(ada, ledger, clock):
    """Add a schedule at a moment; the returned function moves on by steps and tells what came due."""
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))

    def schedule(cron, zone, begin, **more):
        clock.now = begin.astimezone(UTC)
        added = ada.schedule(ScheduleRequest(job="report", cron=cron, tz=zone, **more))

        def until(end, step=timedelta(minutes=5)):
            found = []
            while clock.now < end:
                clock.now += step
                found += [ada.show(run).run.due_at.astimezone(ZoneInfo(zone)) for run in ledger.queue_due()]
            return found

        until.schedule = added
        return until

    return schedule


def around(day, zone, hours=(1, 4)):
    """The instants at these local hours of a day."""
    return tuple(datetime(*day, hour, tzinfo=ZoneInfo(zone)) for hour in hours)


@ZONES
def test_a_local_time_that_does_not_exist_is_due_once_at_the_end_of_the_gap(zone, due):
    begin, end = around(FORWARD[zone], zone)
    day = begin.date()
    assert [fire.isoformat() for fire in due(MISSING[zone], zone, begin)(end)] == [
        f"{day}T{AFTER_THE_GAP[zone]}"
    ]


@ZONES
def test_a_local_time_that_occurs_twice_is_due_once_the_first_time(zone, due):
    begin, end = around(BACK[zone], zone)
    day = begin.date()
    assert [fire.isoformat() for fire in due(TWICE[zone], zone, begin)(end)] == [f"{day}T{FIRST_TIME[zone]}"]


@ZONES
@pytest.mark.parametrize("change", [FORWARD, BACK], ids=["forward", "back"])
def test_quarters_of_an_hour_are_due_on_every_real_quarter(zone, change, due):
    begin, end = around(change[zone], zone)
    fires = due("*/15 * * * *", zone, begin)(end)
    assert len(fires) == (end.astimezone(UTC) - begin.astimezone(UTC)) / timedelta(minutes=15)
    apart = {later.astimezone(UTC) - earlier.astimezone(UTC) for earlier, later in pairwise(fires)}
    assert apart == {timedelta(minutes=15)}


@ZONES
@pytest.mark.parametrize("change", [FORWARD, BACK], ids=["forward", "back"])
def test_a_service_that_sleeps_through_the_change_makes_up_for_the_same_times(zone, change, due):
    begin, end = around(change[zone], zone)
    expected = schedules.next_fires("*/20 1-3 * * *", zone, begin, 20)
    until = due("*/20 1-3 * * *", zone, begin, missed="all")
    made = until(end, end.astimezone(UTC) - begin.astimezone(UTC))
    assert made == [fire for fire in expected if fire <= end]


def test_the_29th_of_february_is_due_in_leap_years_alone(due):
    until = due("0 12 29 2 *", BERLIN, datetime(2096, 1, 1, tzinfo=UTC))
    years = [fire.year for fire in until(datetime(2105, 1, 1, tzinfo=UTC), timedelta(days=60))]
    assert years == [2096, 2104]  # 2100 is none


def test_a_month_without_a_31st_is_passed_over(due):
    until = due("0 12 31 * *", NEW_YORK, datetime(2026, 1, 1, tzinfo=UTC))
    fires = until(datetime(2027, 1, 2, tzinfo=UTC), timedelta(days=10))
    assert [fire.month for fire in fires] == [1, 3, 5, 7, 8, 10, 12]


def test_a_clock_that_jumps_to_and_fro_makes_each_due_time_once(due, clock, ledger, ada):
    begin = datetime(2026, 5, 4, 10, tzinfo=UTC)
    until = due("*/5 * * * *", "UTC", begin, missed="all")
    made = until(begin + timedelta(minutes=21), timedelta(minutes=1))
    for jump in (-7, 3, -2, 10, -30, 31):  # NTP steps, some of them wrong
        clock.forward(minutes=jump)
        ledger.take_back_schedules()
        made += until(clock.now + timedelta(minutes=4), timedelta(minutes=2))
    made += until(begin + timedelta(hours=1), timedelta(minutes=1))
    assert len(made) == len(set(made))
    assert sorted(made) == schedules.next_fires("*/5 * * * *", "UTC", begin, 12)


def test_a_clock_that_was_a_year_ahead_stops_no_schedule(due, clock, ledger):
    begin = datetime(2026, 5, 4, 10, tzinfo=UTC)
    until = due("0 12 * * *", "UTC", begin)
    clock.now = datetime(2027, 5, 4, 10, tzinfo=UTC)
    assert len(ledger.queue_due()) == 1
    clock.now = begin
    assert ledger.take_back_schedules() == 1
    assert ledger.take_back_schedules() == 0
    assert [fire.day for fire in until(begin + timedelta(days=2), timedelta(hours=1))] == [4, 5]


def test_a_machine_that_was_suspended_goes_on_in_time(due, clock):
    begin = datetime(2026, 5, 4, 10, tzinfo=UTC)
    until = due("*/10 * * * *", "UTC", begin)
    clock.forward(days=3, minutes=1)
    made = until(begin + timedelta(days=3, minutes=21))
    assert [fire.strftime("%d %H:%M") for fire in made] == ["07 10:00", "07 10:10", "07 10:20"]


def test_a_zone_whose_rules_change_moves_the_times_to_come_and_doubles_none(due, clock, monkeypatch):
    begin = datetime(2026, 5, 4, 0, tzinfo=UTC)
    until = due("0 12 * * *", BERLIN, begin)
    assert len(until(begin + timedelta(days=1), timedelta(hours=1))) == 1
    # Berlin leaves summer time: noon is an hour later than it was when the next due time was computed.
    known = zoneinfo.ZoneInfo
    monkeypatch.setattr(schedules, "ZoneInfo", lambda name: known("Africa/Lagos" if name == BERLIN else name))
    later = until(begin + timedelta(days=3), timedelta(hours=1))
    assert [fire.astimezone(UTC).strftime("%d %H:%M") for fire in later] == ["05 11:00", "06 11:00"]
