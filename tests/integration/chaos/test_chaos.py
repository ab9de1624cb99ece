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


def test_nothing_is_lost_or_doubled_whatever_is_killed(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.prepared()
    try:
        report = run(Plan(_SEED, due_times=24, strikes=14), tmp_path, url, lambda: postgres.disconnect(url))
    finally:
        postgres.drop(url)
    _judge(report)


def test_one_replica_on_sqlite_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/respawn.db"
    database = Database(url)
    database.prepare()
    database.close()
    report = run(Plan(_SEED + 1, due_times=8, strikes=6, replicas=1), tmp_path, url)
    _judge(report)


def _judge(report: Report) -> None:
    assert not report.violations, report.story
    assert report.harms.total() > 0
    assert report.due_times >= report.plan.due_times // 2  # clocks that were set back take some away
