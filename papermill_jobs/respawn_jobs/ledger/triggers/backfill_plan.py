"""What a backfill is asked to make, worked out and checked before anything is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs import cron as schedules
from respawn_jobs.api.backfills import MAX_RUNS, BackfillItem, BackfillRequest
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger.context.text_limits import CRON, ZONE, check_text
from respawn_jobs.ledger.runs.run_parameters import check_parameters
from respawn_jobs.store.tables import JobRow, ScheduleRow, VersionRow
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large

_EVERY = {"hour": "0 * * * *", "day": "0 0 * * *"}
_YEARS = range(1970, 2200)
_MAX_BYTES = 4 << 20
"""Bytes of all parameters of a backfill together, as JSON."""
_MAX_PROBLEMS = 20


@dataclass
class Planned:
    """The runs of a backfill in their order, and what is wrong with it."""

    about: str = ""
    items: list[BackfillItem] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def planned(
    session: Session, job: JobRow, version: VersionRow, request: BackfillRequest, now: datetime
) -> Planned:
    """Work out the runs of a backfill; what is wrong is listed as problems.

    Args:
        session: reads the schedules of the job.
        job: the job.
        version: the version that the runs would execute.
        request: what is wanted.
        now: the time now, in UTC.
    """
    plan = Planned()
    try:
        if request.sets is not None:
            _from_sets(plan, version, request, now)
        else:
            _from_range(plan, session, job, version, request, now)
    except InvalidInput as error:
        plan.problems.append(error.message)
    if len(plan.items) > MAX_RUNS:
        counted = f"{len(plan.items):,}" if request.sets is not None else f"more than {MAX_RUNS:,}"
        plan.problems.append(f"it would make {counted} runs; {MAX_RUNS:,} at most are taken: make it smaller")
    elif not plan.items and not plan.problems:
        plan.problems.append(f"there is nothing to run: {plan.about}")
    return plan


def _from_sets(plan: Planned, version: VersionRow, request: BackfillRequest, now: datetime) -> None:
    sets = request.sets or []
    plan.about = how_many(len(sets), "parameter set")
    if any((request.start, request.end, request.cron, request.every, request.tz)):
        raise InvalidInput("give a range of dates or parameter sets, not both")
    plan.items = [
        BackfillItem(number=number, logical_date=now, parameters={**request.parameters, **given})
        for number, given in enumerate(sets, 1)
    ]
    if len(sets) > MAX_RUNS:
        return
    for item in plan.items:
        try:
            check_parameters(version, item.parameters)
        except InvalidInput as error:
            plan.problems.append(f"set {item.number}: {error.message}")
        if len(plan.problems) == _MAX_PROBLEMS:
            plan.problems.append("further sets were not looked at")
            return
    if not plan.problems:
        _check_size(plan.items)


def _from_range(
    plan: Planned,
    session: Session,
    job: JobRow,
    version: VersionRow,
    request: BackfillRequest,
    now: datetime,
) -> None:
    start, end = _dates(request)
    cron, tz, own = _times(session, job, request)
    plan.about = f"{start} to {end} by {cron!r} in {tz}"
    parameters = check_parameters(version, {**own, **request.parameters})
    after, until = _span(start, end, cron, tz)
    if until > now:
        if after >= now:
            raise InvalidInput(f"the range begins on {start}, which is still to come in {tz}")
        plan.notes.append(f"times after {now.astimezone(ZoneInfo(tz)):%Y-%m-%d %H:%M %Z} are left out")
    fires = _until(schedules.fires_after(cron, tz, after), min(until, now))
    plan.items = [
        BackfillItem(number=number, logical_date=fire.astimezone(UTC), parameters=parameters)
        for number, fire in enumerate(islice(fires, MAX_RUNS + 1), 1)
    ]
    if len(plan.items) <= MAX_RUNS:
        _check_size(plan.items)


def _dates(request: BackfillRequest) -> tuple[date, date]:
    start, end = request.start, request.end
    if start is None or end is None:
        raise InvalidInput("say what to run: the first and the last date of a range, or parameter sets")
    for named in (start, end):
        if named.year not in _YEARS:
            raise InvalidInput(f"{named} is not within the years {_YEARS[0]} to {_YEARS[-1]}")
    if end < start:
        raise InvalidInput(f"the range ends on {end}, before it begins on {start}")
    return start, end


def _times(session: Session, job: JobRow, request: BackfillRequest) -> tuple[str, str, dict[str, Any]]:
    """Return the cron expression, its zone, and the parameters of the schedule that they are taken from."""
    rows = session.scalars(select(ScheduleRow).where(ScheduleRow.job_id == job.id)).all()
    zones = {row.tz for row in rows}
    tz = check_text("time zone", request.tz or (zones.pop() if len(zones) == 1 else "UTC"), ZONE)
    if request.cron and request.every:
        raise InvalidInput("give a cron expression or `every`, not both")
    if request.cron is not None:
        return check_text("cron expression", request.cron, CRON), tz, {}
    if request.every is not None:
        return _EVERY[request.every], tz, {}
    if len(rows) != 1:
        has = "no schedule" if not rows else how_many(len(rows), "schedule")
        raise InvalidInput(
            f"{job.namespace}/{job.name} has {has}: say which times with a cron expression, "
            "or `every` hour or day"
        )
    return rows[0].cron, request.tz or rows[0].tz, rows[0].parameters


def _span(start: date, end: date, cron: str, tz: str) -> tuple[datetime, datetime]:
    """Return the instant just before the first date and the last instant of the last one."""
    schedules.next_fires(cron, tz, datetime(2000, 1, 1, tzinfo=UTC), 1)  # refuses what cannot be read
    zone, step = ZoneInfo(tz), timedelta(microseconds=1)
    first = datetime.combine(start, time(), zone).astimezone(UTC)
    following = datetime.combine(end + timedelta(days=1), time(), zone).astimezone(UTC)
    return first - step, following - step


def _until(fires: Iterator[datetime], last: datetime) -> Iterator[datetime]:
    for fire in fires:
        if fire > last:
            return
        yield fire


def _check_size(items: list[BackfillItem]) -> None:
    size = sum(len(json.dumps(item.parameters, ensure_ascii=False).encode()) for item in items)
    if size > _MAX_BYTES:
        raise InvalidInput(
            f"the parameters take {how_large(size)} as JSON; {how_large(_MAX_BYTES)} at most are taken: "
            "keep large values in a file, and give each run its name"
        )
