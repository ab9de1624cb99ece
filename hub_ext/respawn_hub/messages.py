"""Notices in words: plain text that is read in a mail, a chat or on a telephone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from respawn_jobs.notices import Message, Told
from respawn_jobs.redact import redact

Link = Callable[[str], str]
"""Makes the address of one of our pages from its path."""
_NAMED = 5
"""How many of the runs that failed are named."""
_LONGEST_TITLE = 160
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
    short = title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"
    return short, redact("\n".join(line for line in lines if line))


def _failure(message: Message, told: Told, link: Link) -> tuple[str, list[str]]:
    ended = _ENDED.get(told.state, told.state)
    what = f": {told.error}" if told.error else ""
    return f"{message.job} {ended}{what}", [
        f"Run {told.run} of {message.job} {ended}.",
        _cell(told),
        f"Error: {told.error}" if told.error else "",
        f"Attempts: {told.attempts}" if told.attempts > 1 else "",
        _times(told),
        f"Open it at the failing cell: {link(f'debug/{told.run}')}",
    ]


def _failures(message: Message, link: Link) -> tuple[str, list[str]]:
    count, first = len(message.items), message.items[0]
    since = min((told.ended for told in message.items if told.ended), default=message.at)
    lines = []
    for told in message.items[:_NAMED]:
        where = f" in cell {told.cell}" if told.cell is not None else ""
        lines.append(
            f"{told.run} {_ENDED.get(told.state, told.state)}{where}{f': {told.error}' if told.error else ''}"
        )
    more = f"and {count - _NAMED} more" if count > _NAMED else ""
    title = f"{count} runs of {message.job} failed since {_time(since, first.tz, message.at)}"
    return title, [f"{title} ({first.tz}):", *lines, more, f"All of them: {link(_job_page(message))}"]


def _recovery(message: Message, link: Link) -> tuple[str, list[str]]:
    told = message.items[0]
    before = f" The trouble was noticed at {_time(told.before, told.tz)} ({told.tz})." if told.before else ""
    return f"{message.job} works again", [
        f"Run {told.run} of {message.job} succeeded.{before}",
        _times(told),
        f"The run: {link(f'runs/{told.run}')}",
    ]


def _deadline(message: Message, link: Link) -> tuple[str, list[str]]:
    told = message.items[0]
    by = f"{told.deadline.astimezone(ZoneInfo(told.tz)):%H:%M}" if told.deadline else "its deadline"
    title = f"{message.job} did not finish by {by}"
    failed = told.state in _ENDED
    page = f"{'debug' if failed else 'runs'}/{told.run}" if told.run else _job_page(message)
    return title, [
        f"{title} ({told.tz}).",
        f"Run {told.run}: {told.doing}" if told.run else f"There is {told.doing}",
        _cell(told) if failed else "",
        _times(told),
        f"Look: {link(page)}",
    ]


def _suspended(message: Message, link: Link) -> tuple[str, list[str]]:
    told = message.items[0]
    what = told.former or told.namespace
    count = f"{told.jobs} job{'' if told.jobs == 1 else 's'}"
    return f"{what} is suspended: {told.doing}", [
        f"{what} is suspended: {told.doing}.",
        f"What it held lies in {told.namespace} now." if told.former else "",
        f"Nothing of its {count} runs by itself any more, and its webhooks are refused; all data are kept.",
        f"{_runs(told.stopped)} that executed {'is' if told.stopped == 1 else 'are'} cancelled; "
        "what was computed so far is kept."
        if told.stopped
        else "",
        f"An administrator decides: respawn admin move {told.namespace} NEW, "
        f"or respawn admin retire {told.namespace}.",
        f"Its jobs: {link('')}",
    ]


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def _cell(told: Told) -> str:
    if told.cell is None:
        return ""
    return f"Cell {told.cell}: {told.title}" if told.title else f"Cell {told.cell}"


def _times(told: Told) -> str:
    parts = []
    if told.started:
        parts.append(f"started {_time(told.started, told.tz)}")
    if told.ended:
        parts.append(f"ended {_time(told.ended, told.tz, told.started)}")
    return f"{', '.join(parts).capitalize()} ({told.tz})" if parts else ""


def _time(moment: datetime, tz: str, beside: datetime | None = None) -> str:
    """Return a local time; with its date, unless it stands beside another one of that day."""
    zone = ZoneInfo(tz)
    local = moment.astimezone(zone)
    same_day = beside is not None and beside.astimezone(zone).date() == local.date()
    return f"{local:%H:%M}" if same_day else f"{local:%Y-%m-%d %H:%M}"


def _job_page(message: Message) -> str:
    return f"jobs/{quote(message.job)}"
