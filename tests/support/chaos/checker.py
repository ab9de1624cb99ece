"""What must be so when a chaos test is over, found from the database and from what the processes said."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from respawn_jobs.errors import RespawnError
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.tables import (
    ArtifactRow,
    AttemptRow,
    CellRow,
    CheckpointRow,
    JobRow,
    RunRow,
    VersionRow,
)
from support.chaos.journal import Journal
from support.chaos.world import DOWNSTREAM, JOBS, UPSTREAM, Frozen


@dataclass
class Violation:
    """Something that must not be, and the runs that show it."""

    rule: str
    text: str
    runs: list[str] = field(default_factory=list)


@dataclass
class Case:
    """All that a verdict is found from."""

    ledger: Ledger
    journal: Journal
    frozen: list[Frozen]

    def violations(self) -> list[Violation]:
        """Return all that is wrong."""
        checks: tuple[Callable[[Case, Session], Iterator[Violation]], ...] = (
            each_due_time_has_one_run,
            each_period_is_followed_once,
            all_runs_are_final,
            at_most_one_attempt_committed,
            nothing_fenced_believes_that_it_committed,
            no_effect_happened_twice,
            all_blobs_are_there,
            limits_held,
        )
        with self.ledger.database.session() as session:
            found = [violation for check in checks for violation in check(self, session)]
        try:
            self.ledger.verify_audit()
        except RespawnError as error:
            found.append(Violation("audit", error.message))
        return found

    def due_times(self) -> int:
        """Return how many times were due."""
        return sum(len(list(_planned(schedule))) for schedule in self.frozen)

    def attempts_of(self, run: str) -> list[str]:
        """Tell a run's attempts, and what was done to them, in the order of time."""
        with self.ledger.database.session() as session:
            rows = session.scalars(
                select(AttemptRow).where(AttemptRow.run_id == run).order_by(AttemptRow.number)
            ).all()
            row = session.get(RunRow, run)
        head = f"{run}: {row.state if row else 'unknown'}"
        attempts = {attempt.id for attempt in rows}
        ended = [
            f"  {attempt.number} {attempt.id} {attempt.state} by {attempt.replica} "
            f"{attempt.started_at}–{attempt.finished_at} {attempt.cause} {attempt.error}"
            for attempt in rows
        ]
        lines = [
            f"  {line['at']:.3f} {line}"
            for line in self.journal.lines()
            if line.get("run") == run
            or line.get("attempt") in attempts
            or any(hit["run"] == run for hit in line.get("hit", []))
        ]
        return [head, *ended, *lines]


def _planned(schedule: Frozen) -> list[datetime]:
    job = next(job for job in JOBS if job.name == schedule.job)
    return list(job.due(schedule.created_at, schedule.until))


def each_due_time_has_one_run(case: Case, session: Session) -> Iterator[Violation]:
    """No due time is missing, none is doubled, and no run claims a time that was not due."""
    for schedule in case.frozen:
        rows = session.execute(
            select(RunRow.due_at, RunRow.id).where(RunRow.schedule_id == schedule.id)
        ).all()
        made = Counter(due for due, _ in rows)
        planned = set(_planned(schedule))
        for due in sorted(planned - set(made)):
            yield Violation("due times", f"{schedule.job} has no run for {due}")
        for due, count in made.items():
            runs = [run for at, run in rows if at == due]
            if count > 1:
                yield Violation("due times", f"{schedule.job} has {count} runs for {due}", runs)
            # Times after `until` were decided before the clock was set back.
            if due not in planned and (due is None or due <= schedule.until or due.second):
                yield Violation("due times", f"{schedule.job} was not due at {due}", runs)


def each_period_is_followed_once(case: Case, session: Session) -> Iterator[Violation]:
    """The downstream job ran once for each logical date of the job that it follows.

    A run that was cancelled before it began counts for nothing.
    """

    def dates(name: str) -> dict[datetime, list[str]]:
        began = or_(RunRow.state != RunState.CANCELLED.value, RunRow.started_at.is_not(None))
        query = select(RunRow.logical_date, RunRow.id, RunRow.trigger).join(
            JobRow, JobRow.id == RunRow.job_id
        )
        query = query.where(began) if name == UPSTREAM else query
        found: dict[datetime, list[str]] = defaultdict(list)
        for date, run, trigger in session.execute(query.where(JobRow.name == name)):
            if name == UPSTREAM or trigger == "dependency":
                found[date].append(run)
        return found

    upstream, downstream = dates(UPSTREAM), dates(DOWNSTREAM)
    for date in upstream.keys() | downstream.keys():
        if len(downstream.get(date, [])) != 1 or date not in upstream:
            text = f"{upstream.get(date)} of {date} are followed by {downstream.get(date)}"
            yield Violation("downstream", text, [*upstream.get(date, []), *downstream.get(date, [])])


def all_runs_are_final(case: Case, session: Session) -> Iterator[Violation]:
    """No run is left behind, and what it says of its end agrees with its last attempt."""
    for run in session.scalars(select(RunRow)):
        if not RunState(run.state).final:
            yield Violation("final", f"{run.id} is {run.state}", [run.id])
        if run.finished_at is None:
            yield Violation("final", f"{run.id} is {run.state} without a time", [run.id])
    query = select(AttemptRow).where(AttemptRow.state.in_(("queued", "running")))
    for attempt in session.scalars(query):
        yield Violation("final", f"{attempt.id} is {attempt.state}", [attempt.run_id])


def at_most_one_attempt_committed(case: Case, session: Session) -> Iterator[Violation]:
    """A run has one attempt that succeeded, the last, if it succeeded, and none otherwise.

    A cancel that was granted holds, even when the last attempt had nearly come to its end.
    """
    succeeded: dict[str, list[AttemptRow]] = defaultdict(list)
    for attempt in session.scalars(select(AttemptRow).where(AttemptRow.state == "succeeded")):
        succeeded[attempt.run_id].append(attempt)
    for run in session.scalars(select(RunRow)):
        winners = succeeded[run.id]
        possible = {"succeeded": (1,), "cancelled": (0, 1)}.get(run.state, (0,))
        if len(winners) not in possible or any(winner.number != run.attempt for winner in winners):
            numbers = [winner.number for winner in winners]
            yield Violation("one commits", f"{run.id} is {run.state}; attempts {numbers} succeeded", [run.id])


def nothing_fenced_believes_that_it_committed(case: Case, session: Session) -> Iterator[Violation]:
    """A runner that got an answer to its end is right about it."""
    states = dict(session.execute(select(AttemptRow.id, AttemptRow.state)).all())
    for line in case.journal.lines("committed"):
        state = states.get(line["attempt"])
        if state != line["state"]:
            text = f"{line['attempt']} believes {line['state']}, and is {state}"
            yield Violation("one commits", text, [line["run"]])


def no_effect_happened_twice(case: Case, session: Session) -> Iterator[Violation]:
    """No cell tagged `respawn:once` ran twice in a run, nor, once recorded, in one that goes on from it."""
    before = dict(session.execute(select(RunRow.id, RunRow.resume_of)).all())
    ran = Counter((line["run"], line["cell"]) for line in case.journal.lines("effect"))
    recorded = {(line["run"], line["cell"]) for line in case.journal.lines("effect recorded")}
    for (run, cell), count in ran.items():
        if count > 1:
            yield Violation("once", f"cell {cell} ran {count} times", [run])
        earlier = before.get(run)
        while earlier is not None:
            if (earlier, cell) in recorded:
                yield Violation("once", f"cell {cell} had finished in {earlier}", [earlier, run])
            earlier = before.get(earlier)


def all_blobs_are_there(case: Case, session: Session) -> Iterator[Violation]:
    """Whatever a record names is stored, and is what its name says."""
    named: dict[str, str] = {}

    def name(digest: str | None, who: str) -> None:
        if digest is not None:
            named.setdefault(digest, who)

    for version in session.scalars(select(VersionRow)):
        name(version.notebook, version.id)
    for run in session.scalars(select(RunRow)):
        name(run.notebook, run.id)
        name(run.skeleton, run.id)
    for attempt in session.scalars(select(AttemptRow)):
        name(attempt.notebook, attempt.run_id)
    for cell in session.scalars(select(CellRow)):
        name(cell.outputs, cell.run_id)
    for checkpoint in session.scalars(select(CheckpointRow)):
        for digest in (checkpoint.manifest, *checkpoint.blobs):
            name(digest, checkpoint.run_id)
    for artifact in session.scalars(select(ArtifactRow)):
        for part in artifact.parts:
            name(part[0], artifact.run_id)
    for digest, who in named.items():
        try:
            case.ledger.blobs.get(digest)
        except RespawnError as error:
            yield Violation("blobs", f"{who} names {digest}: {error.message}", [who])


def limits_held(case: Case, session: Session) -> Iterator[Violation]:
    """Runners of attempts that were not lost did not overlap more than their job allows."""
    lost = set(session.scalars(select(AttemptRow.id).where(AttemptRow.state == "lost")))
    names = {f"{job.namespace}/{job.name}": job.name for job in session.scalars(select(JobRow))}
    ends = {line["attempt"]: line["at"] for line in case.journal.lines("end")}
    moments: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for line in case.journal.lines("start"):
        if line["attempt"] in ends and line["attempt"] not in lost:
            moments[names[line["job"]]] += [(line["at"], 1), (ends[line["attempt"]], -1)]
    for job in JOBS:
        most = job.settings.max_parallel
        busy = peak = 0
        for _, change in sorted(moments[job.name]):
            busy += change
            peak = max(peak, busy)
        if most is not None and peak > most:
            yield Violation("limits", f"{job.name}: {peak} runners at once, {most} allowed")
