"""Cron expressions in IANA time zones: checked, and turned into the instants when they are due.

Five fields, minutes at finest, read as Debian's cron reads them. Around a change of clocks a time of day
that does not exist is due once, right after the gap, and one that exists twice is due once; expressions
that repeat within the hour or by the hour (a star in minutes or hours) follow elapsed time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from respawn_jobs.errors import InvalidInput

_RANGES = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 to 7, or SUN to SAT",
}
_LOOK_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=8), timedelta(days=64))


def check(cron: str, tz: str) -> None:
    """Raise `InvalidInput` for a wrong expression, an unknown zone, or a schedule that never fires."""
    now = datetime.now(UTC)
    next_fires(cron, tz, now, 1)


def next_fires(cron: str, tz: str, after: datetime, count: int) -> list[datetime]:
    """Return the next `count` instants strictly after `after`, ascending, in the zone `tz`.

    Raises `InvalidInput` as `check` does.
    """
    fires = _fires(cron, tz, after)
    return [next(fires) for _ in range(count)]


def latest_fire(cron: str, tz: str, first: datetime, now: datetime) -> datetime:
    """Return the last instant due from `first`, itself a fire, until `now`, both inclusive; in UTC.

    Looks back over growing windows, so a schedule that missed a year of minutes costs no more than one
    that missed an hour.
    """
    for window in (*_LOOK_BACK, None):
        start = first if window is None else max(first, now - window)
        latest = None
        for fire in _fires(cron, tz, start - timedelta(seconds=1)):
            if fire > now:
                break
            latest = fire
        if latest is not None and latest >= first:
            return latest.astimezone(UTC)
        if start == first:
            break
    return first.astimezone(UTC)


def _fires(cron: str, tz: str, after: datetime) -> Iterator[datetime]:
    zone = _zone(tz)
    if len(cron.split()) != 5:
        raise InvalidInput(
            f"cron {cron!r} has {len(cron.split())} fields; five are wanted: "
            "minute hour day-of-month month day-of-week",
            cron=cron,
        )
    try:
        simulation = CronSim(cron, after.astimezone(zone))
    except CronSimError as error:
        raise InvalidInput(f"cron {cron!r} {_why_not(cron, str(error))}", cron=cron) from error
    last = after.astimezone(UTC)
    while True:
        try:
            fire = next(simulation).astimezone(zone)
        except StopIteration:
            raise InvalidInput(f"cron {cron!r} never fires: there is no such date", cron=cron) from None
        # Cron's rules for clock changes can name one instant twice; a due time must be due once.
        if fire.astimezone(UTC) > last:
            last = fire.astimezone(UTC)
            yield fire


def _why_not(cron: str, said: str) -> str:
    field = said.lower().removeprefix("bad ")
    day = cron.split()[2]
    if field == "day-of-month" and _readable(f"0 0 {day} * *"):
        return f"never fires: none of its months has a day {day}"
    return (
        f"cannot be read: {field} is one of {_RANGES[field]}"
        if field in _RANGES
        else f"cannot be read: {said}"
    )


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
