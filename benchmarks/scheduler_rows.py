"""Rows for `bench_scheduler`: jobs, schedules and years of past runs, inserted in bulk."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import insert, select, text, update

from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.database import Database
from respawn_jobs.store.tables import AttemptRow, AuditRow, CellRow, JobRow, RunRow, ScheduleRow, VersionRow

NAMESPACES = [f"team/t{number:03d}" for number in range(100)]
"""The first holds three runs of ten, the others share the rest."""
_JOBS_EACH = 10
_AT_ONCE = 5_000
_APART = timedelta(seconds=30)
_CELLS = 20
_SHARES = {"succeeded": 920, "failed": 45, "cancelled": 20, "timed_out": 13, "lost": 2}
_QUEUED = 200
"""Of the newest runs, how many still wait."""
_DIGEST = "0" * 64


@dataclass(frozen=True)
class History:
    """What there is to ask for."""

    jobs: list[str]
    some_runs: list[str]
    """Runs all over the history, with their cells."""
    first: datetime


def fill_jobs(database: Database, now: datetime) -> list[tuple[str, str]]:
    """Insert the jobs of every namespace, and return (id, namespace) of each."""
    settings = JobSettings().model_dump(mode="json")
    jobs = [
        {
            "id": f"job-{namespace[5:]}-{number}", "namespace": namespace, "name": f"job-{number}",
            "version": 1, "settings": settings, "created_by": "ada", "created_at": now,
        }
        for namespace in NAMESPACES
        for number in range(_JOBS_EACH)
    ]  # fmt: skip
    versions = [
        {
            "id": f"ver-{job['id']}", "job_id": job["id"], "number": 1, "notebook": _DIGEST,
            "kernel": "python3", "language": "python", "parameters": [], "created_by": "ada",
            "created_at": now,
        }
        for job in jobs
    ]  # fmt: skip
    with database.session(write=True) as session:
        session.execute(insert(JobRow), jobs)
        session.execute(insert(VersionRow), versions)
    return [(str(job["id"]), str(job["namespace"])) for job in jobs]


def fill_schedules(database: Database, now: datetime, there: int, count: int) -> None:
    """Insert schedules up to `count`, none of them due within the day."""
    with database.session() as session:
        jobs = [(job_id, "") for job_id in session.scalars(select(JobRow.id))]
    jobs = jobs or fill_jobs(database, now)
    rows = (
        {
            "id": f"sch-{number:07d}", "job_id": jobs[number % len(jobs)][0], "cron": "0 8 * * *",
            "tz": "UTC", "paused": False, "parameters": {},
            "next_due": now + timedelta(days=1, seconds=number),
            "missed": "latest", "max_missed": 1, "created_by": "ada", "created_at": now,
        }
        for number in range(there, count)
    )  # fmt: skip
    _insert(database, ScheduleRow, rows)
    _analyze(database)


def make_due(database: Database, moment: datetime, count: int) -> None:
    """Make `count` schedules due at a moment, eight o'clock, as if they had made no run of it."""
    with database.session(write=True) as session:
        ids = session.scalars(select(ScheduleRow.id).order_by(ScheduleRow.id).limit(count)).all()
        session.execute(text("DELETE FROM runs"))
        session.execute(
            update(ScheduleRow)
            .where(ScheduleRow.id.in_(ids))
            .values(next_due=moment, decided_until=moment - timedelta(days=1))
        )


def fill_runs(database: Database, now: datetime, count: int) -> History:
    """Insert ended runs, one every half minute until now, and the cells of some of them."""
    dice = random.Random(7)
    jobs = fill_jobs(database, now)
    first = now - count * _APART
    _insert(database, RunRow, (_run(dice, jobs, number, count, first) for number in range(count)))
    some = [f"run-{number:010d}" for number in sorted(dice.sample(range(count), min(count, 500)))]
    _insert(database, AuditRow, (_audited(dice, jobs, number, now) for number in range(1, count + 1)))
    _insert(database, AttemptRow, (_attempt(run, now) for run in some))
    _insert(database, CellRow, (_cell(run, index) for run in some for index in range(_CELLS)))
    with database.session(write=True) as session:
        newest = select(RunRow.id).where(RunRow.job_id == JobRow.id).order_by(RunRow.created_at.desc())
        session.execute(update(JobRow).values(last_run=newest.limit(1).scalar_subquery()))
    _analyze(database)
    names = [f"{namespace}/job-{number % _JOBS_EACH}" for number, (_, namespace) in enumerate(jobs)]
    return History(names, some, first)


def _run(
    dice: random.Random, jobs: list[tuple[str, str]], number: int, count: int, first: datetime
) -> dict[str, Any]:
    largest = dice.random() < 0.3
    job_id, namespace = jobs[dice.randrange(_JOBS_EACH) if largest else dice.randrange(_JOBS_EACH, len(jobs))]
    state = dice.choices(list(_SHARES), list(_SHARES.values()))[0]
    if number >= count - _QUEUED:
        state = RunState.QUEUED.value
    created = first + number * _APART
    ended = None if state == RunState.QUEUED.value else created + timedelta(seconds=20)
    failed = {"cell": 3, "name": "KeyError", "value": "'x'", "traceback": "KeyError: 'x'"}
    return {
        "id": f"run-{number:010d}", "job_id": job_id, "namespace": namespace, "version_id": f"ver-{job_id}",
        "version": 1, "kernel": "python3", "settings": {}, "state": state,
        "parameters": {"day": str(created)},
        "trigger": "schedule", "schedule_id": f"sch-{job_id}", "due_at": created, "logical_date": created,
        "trigger_id": f"sch-{job_id}", "idempotency_key": created.isoformat(), "created_by": "ada",
        "created_at": created, "started_at": ended and created, "finished_at": ended, "attempt": 1,
        "cells_total": _CELLS, "cells_done": _CELLS, "cancel_requested": False, "revision": 9,
        "error": failed if state == RunState.FAILED.value else None, "notebook": f"{number:064x}",
        "skeleton": _DIGEST, "pinned": False, "priority": 0, "queue": "default",
    }  # fmt: skip


def _audited(dice: random.Random, jobs: list[tuple[str, str]], number: int, now: datetime) -> dict[str, Any]:
    _, namespace = dice.choice(jobs)
    return {
        "seq": number, "at": now, "actor": "ada", "action": "run", "namespace": namespace,
        "subject": f"run-{number:010d}", "details": {"namespace": namespace},
        "previous": f"{number - 1:064x}", "hash": f"{number:064x}",
    }  # fmt: skip


def _attempt(run: str, now: datetime) -> dict[str, Any]:
    return {
        "id": f"att-{run}", "run_id": run, "number": 1, "state": "succeeded", "executor": "local",
        "token_hash": _DIGEST, "lease_until": now,
    }  # fmt: skip


def _cell(run: str, index: int) -> dict[str, Any]:
    return {
        "run_id": run, "attempt": 1, "index": index, "cell_id": f"cell-{index}", "state": "executed",
        "source_hash": _DIGEST, "tags": [], "seconds": 0.1, "outputs": _DIGEST,
    }  # fmt: skip


def _insert(database: Database, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    while some := list(islice(rows, _AT_ONCE)):
        with database.session(write=True) as session:
            session.execute(insert(table.__table__), some)


def _analyze(database: Database) -> None:
    """Bring statistics up to date, and tidy up, as autovacuum would in time."""
    postgresql = database.engine.dialect.name == "postgresql"
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if postgresql else "ANALYZE")
