"""Every queued run says what it waits for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from respawn_jobs.model.runs import RunState
from respawn_jobs.store.database import Database
from respawn_jobs.store.tables import AttemptRow, RunRow
from support.queues import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    url = f"sqlite:///{tmp_path}/respawn.db"
    database = Database(url)
    database.prepare()
    database.close()
    stage = Stage(url, tmp_path)
    yield stage
    stage.close()


def present(stage: Stage, replica: str = "rep-a", slots: int = 4, *, draining: bool = False) -> None:
    stage.ledger.report_replica(replica, host="here", slots=slots, busy=0, draining=draining, health={})


def waiting(stage: Stage, run: str) -> str | None:
    return stage.root.show(run).run.waiting


def test_without_a_service_a_run_waits_for_one(stage: Stage) -> None:
    stage.promote("report")
    run = stage.run("report")
    assert waiting(stage, run) == "waiting for: a service: none is running"
    present(stage, draining=True)
    assert waiting(stage, run) == "waiting for: a service: all that run are being stopped"
    present(stage)
    assert waiting(stage, run) == "waiting for: its turn, it is the next"
    stage.clock.forward(60)
    assert waiting(stage, run) == "waiting for: a service: none is running"


def test_a_limit_is_named_with_whose_it_is(stage: Stage) -> None:
    present(stage)
    stage.promote("report", max_parallel=1)
    stage.promote("other", queue="gpu")
    first, second, other = stage.run("report"), stage.run("report"), stage.run("other")
    stage.take()
    assert waiting(stage, first) == "waiting for: its runner to start"
    assert waiting(stage, second) == f"waiting for: limit 1 of job team/risk/report ({first} is running)"
    stage.limit("queue", "gpu", 0)
    assert waiting(stage, other) == "waiting for: limit 0 of queue gpu"
    stage.limit("user", "*", 1)
    assert waiting(stage, other) == "waiting for: limit 1 of user ada"
    stage.limit("namespace", "team/risk", 1)
    assert waiting(stage, other) == "waiting for: limit 1 of namespace team/risk"
    assert {run.id: run.waiting for run in stage.root.runs()}[other] == waiting(stage, other)


def test_without_a_limit_it_waits_for_a_runner_or_its_turn(stage: Stage) -> None:
    present(stage, slots=2)
    stage.promote("report")
    runs = [stage.run("report") for _ in range(4)]
    assert waiting(stage, runs[2]) == "waiting for: its turn: 2 runs are before it"
    assert waiting(stage, runs[1]) == "waiting for: its turn: 1 run is before it"
    assert len(stage.take(2, "rep-a")) == 2
    assert waiting(stage, runs[2]) == "waiting for: a free runner: 2 of 2 are busy"


def test_a_run_that_is_tried_again_says_when_and_why(stage: Stage) -> None:
    stage.promote("report", retries={"runner_lost": {"attempts": 3}})
    run = stage.run("report")
    stage.take()
    later = stage.clock.now.replace(hour=9, minute=12, second=40) + timedelta(milliseconds=1)
    with stage.database.session(write=True) as session:
        session.execute(update(AttemptRow).values(state=RunState.LOST.value, cause="runner_lost"))
        session.execute(update(RunRow).values(current=None, not_before=later))
    expected = "waiting until 09:12:40 UTC, to be tried again after a lost runner (attempt 2 of 3)"
    assert waiting(stage, run) == expected


def test_a_run_that_does_not_wait_says_nothing(stage: Stage) -> None:
    stage.promote("report")
    run = stage.run("report")
    stage.take()
    stage.end(run)
    assert waiting(stage, run) is None
