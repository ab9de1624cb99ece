"""The content of notices to people, before it is put into words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from respawn_jobs.model.base import Model

Kind = Literal["failure", "recovery", "deadline", "suspended"]


class Notice(Model):
    """What one notice says; texts in it are without secrets, and short."""

    run: str | None = None
    """The run that it is about; None where there is none."""
    state: str = ""
    cell: int | None = None
    """The cell that failed."""
    title: str = ""
    """The first line of its source."""
    error: str = ""
    """The error's last line, with its name."""
    doing: str = ""
    """What keeps a job that missed its deadline."""
    attempts: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    before: datetime | None = None
    """When the trouble that is over now was noticed."""
    deadline: datetime | None = None
    tz: str = "UTC"
    """The time zone of the job's times."""
    backfill: bool = False
    namespace: str = ""
    """The namespace that was suspended; `doing` says why."""
    former: str | None = None
    """What it was called before."""
    jobs: int = 0
    """How many jobs it has."""
    stopped: int = 0
    """How many of its runs were executing, and are cancelled."""


@dataclass(frozen=True)
class Message:
    """Notices that are sent as one, claimed by the replica that sends them."""

    ids: tuple[int, ...]
    channel: str
    kind: Kind
    namespace: str
    job: str
    """The job's full name."""
    items: tuple[Notice, ...]
    """Oldest first; several for failures that were collected."""
    at: datetime
    """When the first of them was written."""
    tries: int = 0
    delivered: frozenset[int] = frozenset()
    """Places of the channel's addresses that have it already."""
