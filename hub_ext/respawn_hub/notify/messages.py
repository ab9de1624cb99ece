"""Notices in words: plain text that is read in a mail, a chat or on a telephone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from respawn_jobs.model.notices import Message, Notice
from respawn_jobs.redact import redact
from respawn_kernels.counting import how_many, noun

Link = Callable[[str], str]
"""Makes the address of one of our pages from its path."""
_NAMED = 5
"""How many of the runs that failed are named."""
_MAX_TITLE = 160
_ENDED = {"failed": "failed", "timed_out": "took too long", "lost": "was lost"}


def rendered(message: Message, link: Link) -> tuple[str, str]:
    """Return the title and the text of a message."""
    if message.kind == "recovery":
        title, lines = _recovery(message, link)
    elif message.kind == "deadline":
        title, lines = _deadline(message, link)
    elif message.kind == "suspended":
        title, lines = _suspended(message, link)
    elif len(message.items) > 1:
        title, lines = _failures(message, link)
    else:
        title, lines = _failure(message, message.items[0], link)
    title = redact(title)
    short = title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 1]}…"
    return short, redact("\n".join(line for line in lines if line))


def _failure(message: Message, notice: Notice, link: Link) -> tuple[str, list[str]]:
    ended = _ENDED.get(notice.state, notice.state)
    what = f": {notice.error}" if notice.error else ""
    return f"{message.job} {ended}{what}", [
        f"Run {notice.run} of {message.job} {ended}.",
        _cell(notice),
        f"Error: {notice.error}" if notice.error else "",
        f"Attempts: {notice.attempts}" if notice.attempts > 1 else "",
        _times(notice),
        f"Open it at the failing cell: {link(f'debug/{notice.run}')}",
    ]


def _failures(message: Message, link: Link) -> tuple[str, list[str]]:
    count, first = len(message.items), message.items[0]
    since = min((notice.ended for notice in message.items if notice.ended), default=message.at)
    lines = []
    for notice in message.items[:_NAMED]:
        where = f" in cell {notice.cell}" if notice.cell is not None else ""
        error = f": {notice.error}" if notice.error else ""
        lines.append(f"{notice.run} {_ENDED.get(notice.state, notice.state)}{where}{error}")
    more = f"and {count - _NAMED} more" if count > _NAMED else ""
    title = f"{how_many(count, 'run')} of {message.job} failed since {_time(since, first.tz, message.at)}"
    return title, [f"{title} ({first.tz}):", *lines, more, f"All of them: {link(_job_page(message))}"]


def _recovery(message: Message, link: Link) -> tuple[str, list[str]]:
    notice = message.items[0]
    before = (
        f" The trouble was noticed at {_time(notice.before, notice.tz)} ({notice.tz})."
        if notice.before
        else ""
    )
    return f"{message.job} works again", [
        f"Run {notice.run} of {message.job} succeeded.{before}",
        _times(notice),
        f"The run: {link(f'runs/{notice.run}')}",
    ]


def _deadline(message: Message, link: Link) -> tuple[str, list[str]]:
    notice = message.items[0]
    by = f"{notice.deadline.astimezone(ZoneInfo(notice.tz)):%H:%M}" if notice.deadline else "its deadline"
    title = f"{message.job} did not finish by {by}"
    failed = notice.state in _ENDED
    page = f"{'debug' if failed else 'runs'}/{notice.run}" if notice.run else _job_page(message)
    return title, [
        f"{title} ({notice.tz}).",
        f"Run {notice.run}: {notice.doing}" if notice.run else f"There is {notice.doing}",
        _cell(notice) if failed else "",
        _times(notice),
        f"Look: {link(page)}",
    ]


def _suspended(message: Message, link: Link) -> tuple[str, list[str]]:
    notice = message.items[0]
    what = notice.former or notice.namespace
    jobs = how_many(notice.jobs, "job")
    return f"{what} is suspended: {notice.doing}", [
        f"{what} is suspended: {notice.doing}.",
        f"What it held is in {notice.namespace} now." if notice.former else "",
        f"Nothing of its {jobs} runs by itself any more, and its webhooks are refused; all data are kept.",
        f"{_runs(notice.stopped)} that executed {noun(notice.stopped, 'is', 'are')} cancelled; "
        "what was computed so far is kept."
        if notice.stopped
        else "",
        f"An administrator decides: respawn admin move {notice.namespace} NEW, "
        f"or respawn admin retire {notice.namespace}.",
        f"Its jobs: {link('')}",
    ]


def _runs(count: int) -> str:
    return how_many(count, "run")


def _cell(notice: Notice) -> str:
    if notice.cell is None:
        return ""
    return f"Cell {notice.cell}: {notice.title}" if notice.title else f"Cell {notice.cell}"


def _times(notice: Notice) -> str:
    parts = []
    if notice.started:
        parts.append(f"started {_time(notice.started, notice.tz)}")
    if notice.ended:
        parts.append(f"ended {_time(notice.ended, notice.tz, notice.started)}")
    return f"{', '.join(parts).capitalize()} ({notice.tz})" if parts else ""


def _time(moment: datetime, tz: str, beside: datetime | None = None) -> str:
    """Return a local time; with its date, unless it stands beside another one of that day."""
    zone = ZoneInfo(tz)
    local = moment.astimezone(zone)
    same_day = beside is not None and beside.astimezone(zone).date() == local.date()
    return f"{local:%H:%M}" if same_day else f"{local:%Y-%m-%d %H:%M}"


def _job_page(message: Message) -> str:
    return f"jobs/{quote(message.job)}"
