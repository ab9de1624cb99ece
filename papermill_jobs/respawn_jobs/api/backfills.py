"""Backfills: runs of a job for a range of dates, or for a list of parameter sets."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from respawn_jobs.api.operation import operation
from respawn_jobs.model.base import Many, Model
from respawn_jobs.model.open_values import OPEN

MAX_RUNS = 10_000
"""Runs that one backfill may make."""
MAX_PARALLEL = 100
"""Runs of one backfill that may wait or run at once."""
BackfillState = Annotated[Literal["active", "stopped", "done"], OPEN]


class BackfillRequest(Model):
    """A request to run a job for each due time of a range of dates, or with each of some parameter sets."""

    job: str
    start: date | None = None
    """The first local date, from its midnight."""
    end: date | None = None
    """The last local date, the whole of it. Times that are still to come are left out."""
    cron: str | None = None
    """Due times of the range; without it and `every` those of the job's only schedule."""
    every: Literal["hour", "day"] | None = None
    """Instead of `cron`: each hour, or each day at midnight."""
    tz: str | None = None
    """IANA zone of the dates; None for that of the job's schedules where they have one, else UTC."""
    sets: Many[dict[str, Any]] | None = None
    """Instead of a range: the parameters of each run."""
    parameters: dict[str, Any] = {}
    """Parameters of all its runs; a set's own go before them."""
    parallel: int = Field(default=2, ge=1, le=MAX_PARALLEL)
    """How many of its runs may wait or run at once."""


class BackfillItem(Model):
    """A run that a backfill makes."""

    number: int
    """Counts from 1, in the order in which they are made."""
    logical_date: datetime
    """Its logical date, which a notebook that declares `respawn_logical_date` is given."""
    parameters: dict[str, Any]


class BackfillPreview(Model):
    """What a backfill would make; nothing was changed."""

    job: str
    about: str
    """Its range or its sets, in words."""
    total: int
    """How many runs; as far as they were counted where there are too many."""
    first: list[BackfillItem]
    last: list[BackfillItem]
    """Those of the last that are not among the first."""
    problems: list[str]
    """What keeps it from being started."""
    notes: list[str]
    """What is worth knowing before."""


class Backfill(Model):
    """A backfill and how far it is. Its runs have the trigger `backfill` and its id as `trigger_id`."""

    id: str
    job: str
    state: BackfillState
    """active: it makes runs as slots come free. stopped: it makes no more. done: all have ended."""
    about: str
    parallel: int
    total: int
    made: int
    """How many of its runs were made so far; the other numbers count those that are still kept."""
    queued: int
    running: int
    suspended: int = 0
    succeeded: int
    failed: int
    """Those that failed, timed out or were lost."""
    cancelled: int
    created_by: str
    created_at: datetime
    finished_at: datetime | None = None


class BackfillStop(Model):
    """How a backfill is stopped."""

    cancel: bool = False
    """Whether its runs that wait or run are cancelled too."""


class BackfillService(Protocol):
    """What a person can do with backfills; every method may raise `RespawnError`s."""

    @operation("POST", "backfills/preview")
    def preview_backfill(self, request: BackfillRequest) -> BackfillPreview:
        """Tell what a backfill would make and what is wrong with it; changes nothing."""

    @operation("POST", "backfills", status=201, wakes=True)
    def backfill(self, request: BackfillRequest) -> Backfill:
        """Run a job for a range of dates, or with each of some parameter sets.

        Raises `InvalidInput` with all that is wrong, before anything is made.
        """

    @operation("GET", "backfills")
    def backfills(
        self, job: str | None = None, limit: Annotated[int, Field(ge=1, le=200)] = 50
    ) -> list[Backfill]:
        """Return backfills that the caller may see, newest first."""

    @operation("GET", "backfills/{backfill}")
    def show_backfill(self, backfill: str) -> Backfill:
        """Return one backfill and how far it is."""

    @operation("POST", "backfills/{backfill}/stop", wakes=True, fields=BackfillStop)
    def stop_backfill(self, backfill: str, *, cancel: bool = False) -> Backfill:
        """Let a backfill make no more runs; with `cancel`, cancel its runs that have not ended."""
