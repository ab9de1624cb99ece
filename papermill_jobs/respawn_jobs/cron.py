"""Cron expressions in IANA time zones: checked, and turned into the instants when they are due.

Five fields, minutes at finest, read as Debian's cron reads them. What happens where clocks change:

- An expression for every hour (`30 * * * *`, `*/15 * * * *`) is due whenever the clock shows one of its
  minutes, in a repeated hour both times: quarters of an hour stay quarters of an hour.
- Any other names times of day. One that does not exist is due at the first instant after the gap, once with
  all others of that gap. One that exists twice is due the first time; where the minutes are an interval
  (`*/15 2 * * *`) it is due both times.

`docs/how-to/schedule.md` has the table.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from respawn_jobs.errors import InvalidInput
from respawn_kernels.counting import how_many

_RANGES = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 to 7, or SUN to SAT",
}
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LOOK_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=8), timedelta(days=64))


def check(cron: str, tz: str) -> None:
    """Raise `InvalidInput` for a wrong expression, an unknown zone, or a schedule that never fires."""
    now = datetime.now(UTC)
    next_fires(cron, tz, now, 1)


def next_fires(cron: str, tz: str, after: datetime, count: int) -> list[datetime]:
    """Return the next instants when an expression is due, ascending, in the zone `tz`.

    Args:
        cron: an expression of five fields, or a nickname such as `@daily`.
        tz: name of an IANA time zone, such as `Europe/Berlin`.
        after: a time with a zone; an instant that is due then is left out.
        count: how many instants.

    Raises:
        InvalidInput: as `check` does.
    """
    fires = fires_after(cron, tz, after)
    return [next(fires) for _ in range(count)]


def meaning(cron: str) -> Hashable:
    """Return what tells an expression from others: equal for two that are due at the same times.

    White space, cases, names of days and months, and the order of lists do not count. Raises `InvalidInput`.
    """
    return _Times(cron, datetime(2000, 1, 1)).meaning


def same_times(cron: str, other: str) -> bool:
    """Return whether two expressions are due at the same times; one in `other` that cannot be read is not.

    Raises `InvalidInput` when `cron` cannot be read.
    """
    meant = meaning(cron)
    try:
        return meaning(other) == meant
    except InvalidInput:
        return False


def latest_fires(cron: str, tz: str, after: datetime, until: datetime, most: int) -> list[datetime]:
    """Return the last instants when an expression was due, ascending, in UTC.

    Looks back over growing windows, so a schedule that missed a year of minutes costs no more than one
    that missed a day.

    Args:
        cron: an expression of five fields, or a nickname such as `@daily`.
        tz: name of an IANA time zone, in which the expression is read.
        after: a time with a zone; an instant that is due then is left out.
        until: a time with a zone; an instant that is due then counts.
        most: how many instants at most, at least 1; those before them are left out.

    Raises:
        InvalidInput: as `check` does.
    """
    found: list[datetime] = []
    for window in (*_LOOK_BACK, None):
        start = after if window is None else max(after, until - window)
        found = []
        for fire in fires_after(cron, tz, start):
            if fire > until:
                break
            found.append(fire.astimezone(UTC))
        if len(found) >= most or start == after:
            break
    return found[-most:]


def fires_after(cron: str, tz: str, after: datetime) -> Iterator[datetime]:
    """Yield the instants when an expression is due, ascending, each once, in the zone `tz`; they do not end.

    Args:
        cron: an expression of five fields, or a nickname such as `@daily`.
        tz: name of an IANA time zone, such as `Europe/Berlin`.
        after: a time with a zone; an instant that is due then is left out.

    Raises:
        InvalidInput: as `check` does.
    """
    zone = _zone(tz)
    begin = after.astimezone(zone)
    times = _Times(cron, _local_start(begin))
    last = begin.astimezone(UTC)
    again: list[datetime] = []  # the second time of a repeated hour comes after later local times
    while True:
        local = next(times)
        first = _first_instant(local, zone)
        exists = first.astimezone(zone).replace(tzinfo=None) == local
        while again and again[0] <= first:
            if (fire := heapq.heappop(again)) > last:
                last = fire
                yield fire.astimezone(zone)
        if first > last and (exists or not times.every_hour):
            last = first
            yield first.astimezone(zone)
        if exists and times.interval:
            heapq.heappush(again, local.replace(tzinfo=zone, fold=1).astimezone(UTC))


class _Times:
    """The local times that an expression names, ascending, without a zone."""

    def __init__(self, cron: str, after: datetime) -> None:
        fields = _fields(cron)
        try:
            self._simulation = CronSim(cron, after)
        except CronSimError as error:
            raise InvalidInput(f"cron {cron!r} {_why_not(cron, str(error))}", cron=cron) from error
        self._cron = cron
        self.every_hour = len(self._simulation.hours) == 24
        self.interval = self.every_hour or fields[0].startswith("*")
        """Whether it follows elapsed time, and so is due both times in an hour that is repeated."""
        parsed = self._simulation
        days = frozenset((0 if day == 7 else day) for day in parsed.weekdays)
        sets = (parsed.minutes, parsed.hours, parsed.days, parsed.months)
        self.meaning: Hashable = (*map(frozenset, sets), days, parsed.day_and, self.interval)

    def __next__(self) -> datetime:
        try:
            return next(self._simulation)
        except (StopIteration, OverflowError):
            raise InvalidInput(
                f"cron {self._cron!r} never fires: there is no such date", cron=self._cron
            ) from None


def _first_instant(local: datetime, zone: tzinfo) -> datetime:
    """Return the first instant at which a zone's clock shows this time or, where it skips it, a later one."""
    instant = local.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    # In a gap: fold=0 counts from before it and fold=1 from after it, so its end lies between the two.
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    before = early.astimezone(zone).utcoffset()
    while instant - early > timedelta(minutes=1):
        middle = early + (instant - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            instant = middle
    return instant.replace(second=0, microsecond=0)


def _local_start(begin: datetime) -> datetime:
    """Return a local time such that nothing due after `begin` lies before it.

    Where the clock is about to be set back, earlier local times are still to come a second time.
    """
    ahead = (begin.astimezone(UTC) + timedelta(days=1)).astimezone(begin.tzinfo)
    back = (begin.utcoffset() or timedelta()) - (ahead.utcoffset() or timedelta())
    return begin.replace(tzinfo=None, fold=0) - max(back, timedelta())


def _fields(cron: str) -> list[str]:
    """Return the five fields. Raises `InvalidInput`, with the fix, for anything else."""
    fields = cron.split()
    if len(fields) == 5:
        return fields
    if cron.strip().lower() in _NICKNAMES:
        fix = f"write {_NICKNAMES[cron.strip().lower()]!r}"
    elif len(fields) in (6, 7) or cron.strip().lower().startswith("@every"):
        fix = "seconds are not taken: a schedule is due once a minute at most, '* * * * *'"
    else:
        fix = "such as '30 3 * * 1-5'"
    raise InvalidInput(
        f"cron {cron!r} has {how_many(len(fields), 'field')}; five are wanted, "
        f"minute hour day-of-month month day-of-week: {fix}",
        cron=cron,
    )


def _why_not(cron: str, message: str) -> str:
    field = message.lower().removeprefix("bad ")
    day = cron.split()[2]
    if field == "day-of-month" and _readable(f"0 0 {day} * *"):
        return f"never fires: none of its months has a day {day}"
    return (
        f"cannot be read: {field} {_text_of(cron, field)!r} is none of {_RANGES[field]}, a range from low to "
        "high (1-5), or a step of 1 or more (*/5)"
        if field in _RANGES
        else f"cannot be read: {message}"
    )


def _text_of(cron: str, field: str) -> str:
    return cron.split()[list(_RANGES).index(field)]


def _readable(cron: str) -> bool:
    try:
        CronSim(cron, datetime.now(UTC))
    except CronSimError:
        return False
    return True


def _zone(tz: str) -> ZoneInfo:
    try:
        return ZoneInfo(tz)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidInput(
            f"{tz!r} is not a time zone: use an IANA name such as Europe/Berlin or UTC", tz=tz
        ) from error
