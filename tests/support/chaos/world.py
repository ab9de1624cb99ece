"""The jobs of a chaos test, the people who act on their runs, and what must be so of their schedules."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.api.triggers import DependencyRequest, TriggerRule
from respawn_jobs.errors import RespawnError
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import RETRIED, JobSettings, RetryPolicy
from respawn_jobs.store.service_tables import RunOutboxRow
from respawn_jobs.store.tables import AttemptRow, RunRow, ScheduleRow
from support.notebooks import notebook, text

ADA = Actor.owner("ada")
_POLICY = RetryPolicy(attempts=9, delay_seconds=5, factor=1.5, max_delay_seconds=30, jitter=0.2)
_OVER = RetryPolicy(attempts=6, delay_seconds=2, factor=1, resume=False)
_RETRIES = dict.fromkeys(RETRIED, _POLICY)
_PLAIN = ("a = 1  # flaky 0.15", "print(a)")
UPSTREAM, DOWNSTREAM = "in-berlin", "after-berlin"


@dataclass(frozen=True)
class Planned:
    """A job, and when it is due: every so many minutes of the local time in a zone."""

    name: str
    cells: tuple[str, ...]
    minutes: int | None
    tz: str = "UTC"
    once: tuple[int, ...] = ()
    settings: JobSettings = field(default_factory=lambda: JobSettings(retries=_RETRIES))

    @property
    def cron(self) -> str:
        """The job's schedule."""
        return "* * * * *" if self.minutes == 1 else f"*/{self.minutes} * * * *"

    def due(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the due times after one moment until another, found minute by minute, without cron's code."""
        assert self.minutes is not None
        moment = after.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        while moment <= until:
            if moment.astimezone(ZoneInfo(self.tz)).minute % self.minutes == 0:
                yield moment
            moment += timedelta(minutes=1)


JOBS = (
    Planned("each-minute", _PLAIN, 1),
    Planned("in-berlin", _PLAIN, 2, "Europe/Berlin"),
    Planned(
        "sends-mail",
        ("a = 1", "mail(a)  # flaky 0.05", "b = a + 1  # flaky 0.2", "mail(b)"),
        2,
        "America/New_York",
        once=(1, 3),
    ),
    Planned(
        "one-at-a-time",
        ("a = 1  # slow", "result = a  # keeps", "b = a  # flaky 0.3"),
        3,
        settings=JobSettings(retries=_RETRIES, max_parallel=1, priority=5),
    ),
    Planned(
        "two-at-a-time",
        ("a = 1  # slow", "b = a  # flaky 0.2"),
        2,
        "Asia/Kathmandu",
        settings=JobSettings(retries=dict.fromkeys(RETRIED, _OVER), max_parallel=2, queue="narrow"),
    ),
    Planned(DOWNSTREAM, ("a = 1  # flaky 0.1",), None),
    Planned("fails-at-once", ("a = 1", "b = a  # flaky 0.7"), 3, settings=JobSettings(max_attempts=1)),
)
PER_MINUTE = sum(1 / job.minutes for job in JOBS if job.minutes)


@dataclass
class Frozen:
    """A schedule as it was when it was paused: up to `until` it had decided."""

    id: str
    job: str
    created_at: datetime
    until: datetime


class World:
    """The jobs in a store, and what people do to their runs."""

    def __init__(self, ledger: Ledger, chance: random.Random) -> None:
        self.ledger = ledger
        self.ada = ledger.as_actor(ADA)
        self.chance = chance
        self.acts: dict[str, int] = {}
        self.too_many: list[str] = []
        self._jobs: dict[str, Planned] = {}

    def found(self) -> None:
        """Make the jobs and their schedules."""
        for job in JOBS:
            tags = {place: ["respawn:once"] for place in job.once}
            made = self.ada.promote(
                Promotion(
                    name=job.name, notebook=text(notebook(*job.cells, tags=tags)), settings=job.settings
                )
            )
            self._jobs[self.ada.job(made.job).id] = job
            if job.minutes is not None:
                self.ada.schedule(
                    ScheduleRequest(job=made.job, cron=job.cron, tz=job.tz, missed="all", max_missed=1000)
                )
        self.ada.set_dependency(
            DependencyRequest(job=DOWNSTREAM, upstream=[UPSTREAM], trigger_rule=TriggerRule.ALL_DONE)
        )

    def act(self) -> None:
        """Let a person do something; that it is refused, or cannot be done now, is part of the game."""
        what = self.chance.choice(("cancel", "resume", "restart", "run", "resume"))
        with suppress(RespawnError):
            if what == "run":
                self.ada.run(RunRequest(job=self.chance.choice(JOBS).name))
            else:
                ended = (RunState.FAILED, RunState.LOST, RunState.TIMED_OUT, RunState.CANCELLED)
                states = (RunState.QUEUED, RunState.RUNNING) if what == "cancel" else ended
                found = self.ada.runs(states=states, limit=30)
                if not found:
                    return
                run = self.chance.choice(found).id
                if what == "cancel":
                    self.ada.cancel(run)
                elif what == "resume":
                    self.ada.resume(run, ResumeRequest())
                else:
                    self.ada.restart(run, ResumeRequest())
            self.acts[what] = self.acts.get(what, 0) + 1

    def look_at_limits(self) -> None:
        """Note a job that has more executing runs than it may, in one reading of the database."""
        query = (
            select(RunRow.job_id, func.count())
            .join(AttemptRow, AttemptRow.id == RunRow.current)
            .where(AttemptRow.state.in_(("queued", "running")))
            .group_by(RunRow.job_id)
        )
        with suppress(RespawnError), self.ledger.database.session() as session:
            for job_id, count in session.execute(query):
                most = self._jobs[job_id].settings.max_parallel
                if most is not None and count > most:
                    self.too_many.append(f"{self._jobs[job_id].name}: {count} at once, {most} allowed")

    def decided_until(self) -> datetime | None:
        """Return until when every schedule has decided; None when one has not begun."""
        with self.ledger.database.session() as session:
            decided = list(session.scalars(select(ScheduleRow.decided_until)))
        return None if None in decided else min(moment for moment in decided if moment)

    def freeze(self) -> list[Frozen]:
        """Pause every schedule, and tell how far each had decided, in one transaction."""
        with self.ledger.database.session(write=True) as session:
            rows = session.scalars(select(ScheduleRow).with_for_update()).all()
            frozen = [
                Frozen(row.id, self._jobs[row.job_id].name, row.created_at, row.decided_until)
                for row in rows
                if row.decided_until is not None
            ]
            for row in rows:
                row.paused, row.next_due = True, None
        assert len(frozen) == len(rows)
        return frozen

    def unfinished(self) -> list[str]:
        """Return the runs that are not final, and those whose end has yet to be followed."""
        running = select(RunRow.id).where(RunRow.state.in_(("queued", "running")))
        ended = select(RunOutboxRow.run_id).where(RunOutboxRow.consumer == "downstream")
        with self.ledger.database.session() as session:
            return [*session.scalars(running), *session.scalars(ended)]
