from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from respawn_jobs.cron import check, latest_fires, next_fires
from respawn_jobs.errors import InvalidInput


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_fires_are_told_in_the_zone():
    fires = next_fires("0 3 * * *", "Europe/Berlin", utc(2026, 1, 1), 2)
    assert [fire.isoformat() for fire in fires] == ["2026-01-01T03:00:00+01:00", "2026-01-02T03:00:00+01:00"]


def test_a_time_that_the_clocks_skip_is_due_once_right_after_the_gap():
    fires = next_fires("30 2 * * *", "Europe/Berlin", utc(2026, 3, 28, 12), 2)
    assert [fire.astimezone(UTC) for fire in fires] == [utc(2026, 3, 29, 1), utc(2026, 3, 30, 0, 30)]


def test_a_time_that_the_clocks_repeat_is_due_once():
    fires = next_fires("30 2 * * *", "Europe/Berlin", utc(2026, 10, 24, 12), 2)
    assert [fire.astimezone(UTC) for fire in fires] == [utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)]


@pytest.mark.parametrize(
    "after", [utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 0, 45), utc(2026, 10, 25, 1, 15)]
)
def test_asking_within_the_repeated_hour_does_not_make_it_due_again(after):
    assert next_fires("30 2 * * *", "Europe/Berlin", after, 1)[0].astimezone(UTC) == utc(2026, 10, 26, 1, 30)


def test_every_half_hour_follows_elapsed_time_through_a_change_of_clocks():
    fires = [f.astimezone(UTC) for f in next_fires("*/30 * * * *", "Europe/Berlin", utc(2026, 10, 24, 23), 8)]
    assert {later - earlier for earlier, later in pairwise(fires)} == {timedelta(minutes=30)}


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 2,4,6 *", "never fires"),
        ("0 0 32 * *", "1 to 31"),
        ("61 * * * *", "minute '61' is none of 0 to 59"),
        ("*/0 * * * *", "or a step of 1 or more"),
        ("0 5-1 * * *", "hour '5-1' is none of 0 to 23, a range from low to high"),
        ("* * * * * *", "6 fields; .*seconds are not taken"),
        ("", "0 fields"),
        ("@daily", "1 field;"),
    ],
)
def test_a_cron_that_is_wrong_or_never_fires_is_refused(cron, says):
    with pytest.raises(InvalidInput, match=says):
        check(cron, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_an_unknown_zone_is_refused(zone):
    with pytest.raises(InvalidInput, match="not a time zone"):
        check("* * * * *", zone)


@pytest.mark.parametrize(
    ("cron", "first", "now", "latest"),
    [
        ("* * * * *", utc(2025, 1, 1, 0, 1), utc(2026, 1, 1, 0, 0, 30), utc(2026, 1, 1)),
        ("* * * * *", utc(2026, 1, 1), utc(2026, 1, 1), utc(2026, 1, 1)),
        ("30 2 * * *", utc(2026, 3, 28, 1, 30), utc(2026, 3, 29, 5), utc(2026, 3, 29, 1)),
        ("30 2 * * *", utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 45), utc(2026, 10, 25, 0, 30)),
        ("0 12 1 * *", utc(2026, 1, 1, 11), utc(2026, 6, 20), utc(2026, 6, 1, 10)),
        ("0 12 29 2 *", utc(2020, 2, 29, 11), utc(2027, 6, 20), utc(2024, 2, 29, 11)),
    ],
)
def test_the_latest_missed_time_is_found_however_long_ago_the_first_was(cron, first, now, latest):
    before = first - timedelta(seconds=1)
    assert latest_fires(cron, "Europe/Berlin", before, now, 1) == [latest]
