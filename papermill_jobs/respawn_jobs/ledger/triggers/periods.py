"""Which runs belong together: those of one instant, or of one local hour, day, ISO week or month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from respawn_jobs.api.triggers import Period

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Span:
    """A period: its name, its first instant, and the first one after it; both in UTC."""

    key: str
    start: datetime
    end: datetime


def span_of(period: Period, tz: str, at: datetime) -> Span:
    """Return the period that an instant belongs to.

    A local hour that occurs twice, when clocks are set back, is two periods; a day has 23 to 25 hours.

    Args:
        period: the kind of period; `due` is the instant alone.
        tz: the IANA time zone in which days begin.
        at: the instant, with a zone.
    """
    at = at.astimezone(UTC)
    if period == "due":
        return Span(at.isoformat(), at, at + _INSTANT)
    zone = ZoneInfo(tz)
    local = at.astimezone(zone)
    if period == "hour":
        start = at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return Span(f"hour {start.astimezone(zone):%Y-%m-%dT%H%z}", start, start + timedelta(hours=1))
    day = local.date()
    if period == "day":
        first, key = day, f"day {day}"
        following = day + timedelta(days=1)
    elif period == "week":
        first = day - timedelta(days=day.weekday())
        following, (year, week, _) = first + timedelta(days=7), first.isocalendar()
        key = f"week {year}-W{week:02}"
    else:
        first, key = day.replace(day=1), f"month {day:%Y-%m}"
        following = (first + timedelta(days=31)).replace(day=1)
    start, end = (datetime.combine(date, time(), zone).astimezone(UTC) for date in (first, following))
    return Span(key, start, end)
