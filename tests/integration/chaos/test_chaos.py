"""Whatever is killed, nothing is lost and nothing happens twice.

Two replicas of the service run on one PostgreSQL in simulated time; they, their runners and their
connections are killed by chance. The seed is printed when a promise breaks; `RESPAWN_CHAOS_SEED` sets it.
The long form is `benchmarks/bench_chaos.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from respawn_jobs.store.database import Database
from support.chaos.story import Plan, Report, run
from support.postgres import Postgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

_SEED = int(os.environ.get("RESPAWN_CHAOS_SEED", "20270328"))


_LENGTHS = [pytest.param(10, 6, id="short"), pytest.param(24, 14, id="long", marks=pytest.mark.slow)]


@pytest.mark.parametrize(("due_times", "strikes"), _LENGTHS)
def test_nothing_is_lost_or_doubled_whatever_is_killed(
    postgres: Postgres, tmp_path: Path, due_times: int, strikes: int
) -> None:
    url = postgres.prepared()
    plan = Plan(_SEED, due_times=due_times, strikes=strikes)
    try:
        report = run(plan, tmp_path, url, lambda: postgres.disconnect(url))
    finally:
        postgres.drop(url)
    _judge(report)


@pytest.mark.long
@pytest.mark.parametrize(
    ("due_times", "strikes"),
    [pytest.param(4, 3, id="short"), pytest.param(8, 6, id="long", marks=pytest.mark.slow)],
)
def test_one_replica_on_sqlite_that_is_killed_loses_and_doubles_nothing(
    tmp_path: Path, due_times: int, strikes: int
) -> None:
    url = f"sqlite:///{tmp_path}/respawn.db"
    database = Database(url)
    database.prepare()
    database.close()
    report = run(Plan(_SEED + 1, due_times=due_times, strikes=strikes, replicas=1), tmp_path, url)
    _judge(report)


def _judge(report: Report) -> None:
    assert not report.violations, report.story
    assert report.faults.total() > 0
    assert report.due_times >= report.plan.due_times // 2  # clocks that were set back take some away
