"""What becomes of a run that comes due while others of its job have not ended; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select

from respawn_jobs.ledger.attempts.lifecycle import end_attempt
from respawn_jobs.ledger.context.context import find_version
from respawn_jobs.ledger.runs.queries import new_run
from respawn_jobs.ledger.triggers.overlap import admit
from respawn_jobs.model.runs import Run, RunState, Trigger
from respawn_jobs.store.tables import AttemptRow, JobRow, RunRow
from support.postgres import Postgres
from support.queues import START, Stage
from support.waiting import wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(db_url: str, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(db_url, tmp_path)
    yield stage
    stage.close()


def come_due(stage: Stage, trigger: Trigger = "schedule", *, met: bool = True) -> str:
    """Let a run of the job come due by itself."""
    context = stage.root._context
    with stage.database.session(write=True) as session:
        job = session.scalars(select(JobRow)).one()
        version = find_version(session, job)
        run = new_run(context, session, job, version, "ada", trigger, parameters={})
        if met:
            admit(context, session, job, run)
        return run.id


def shown(stage: Stage, run: str) -> Run:
    return stage.root.show(run).run


def test_by_default_a_run_that_comes_due_waits_or_starts(stage: Stage) -> None:
    stage.promote("report")
    runs = [come_due(stage) for _ in range(3)]
    assert stage.take(10) == runs


def test_a_run_that_is_skipped_names_the_one_in_its_way(stage: Stage) -> None:
    stage.promote("report", overlap="skip")
    first, second = come_due(stage), come_due(stage)
    skipped = shown(stage, second)
    assert (shown(stage, first).state, skipped.state) == (RunState.QUEUED, RunState.CANCELLED)
    assert skipped.error is not None
    assert skipped.error.name == "Skipped"
    assert skipped.error.value == f"{first} of the same job had not ended"
    stage.take()
    stage.end(first)
    assert shown(stage, come_due(stage)).state is RunState.QUEUED


def test_as_many_as_may_execute_at_once_are_not_skipped(stage: Stage) -> None:
    stage.promote("report", overlap="skip", max_parallel=2)
    states = [shown(stage, come_due(stage)).state.value for _ in range(3)]
    assert states == ["queued", "queued", "cancelled"]


def test_a_persons_run_is_in_the_way_and_is_not_skipped(stage: Stage) -> None:
    stage.promote("report", overlap="skip")
    by_hand, again = stage.run("report"), stage.run("report")
    assert shown(stage, come_due(stage)).state is RunState.CANCELLED
    assert {shown(stage, run).state for run in (by_hand, again)} == {RunState.QUEUED}


def test_the_newest_waits_until_those_that_are_cancelled_have_ended(stage: Stage) -> None:
    stage.promote("report", overlap="cancel")
    running = come_due(stage)
    assert stage.take() == [running]
    waiting, backfilled = come_due(stage, met=False), come_due(stage, "backfill", met=False)
    newest = come_due(stage)
    assert shown(stage, waiting).state is RunState.CANCELLED
    assert shown(stage, backfilled).state is RunState.QUEUED
    assert shown(stage, running).cancel_requested
    stage.ledger.expire()
    assert shown(stage, running).state is RunState.CANCELLED  # no runner had claimed it
    assert stage.take(5) == [backfilled]
    stage.end(backfilled)
    assert stage.take(5) == [newest]
    assert [record.action for record in stage.root.audit()].count("cancel") == 2


@pytest.mark.parametrize("policy", ["skip", "cancel"])
def test_a_run_whose_runner_said_that_it_succeeded_is_in_nobodys_way(
    stage: Stage, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.promote("report", overlap=policy)
    ending = come_due(stage)
    assert stage.take() == [ending]
    # The process dies between the two steps in which an attempt ends.
    with monkeypatch.context() as patch:
        patch.setattr("respawn_jobs.ledger.attempts.runner_port.settle", lambda *_: None)
        stage.end(ending)
    newest = come_due(stage)
    stage.ledger.expire()
    assert (shown(stage, ending).state, shown(stage, newest).state) == (RunState.SUCCEEDED, RunState.QUEUED)


@pytest.mark.parametrize("policy", ["skip", "cancel"])
def test_a_run_that_succeeds_while_another_waits_for_its_lock_is_in_nobodys_way(
    postgres: Postgres, tmp_path: Path, policy: str
) -> None:
    url = postgres.prepared()
    stage, other = Stage(url, tmp_path), Stage(url, tmp_path)
    stage.promote("report", overlap=policy)
    ending = come_due(stage)
    assert stage.take() == [ending]
    with ThreadPoolExecutor(1) as pool:
        with stage.database.session(write=True) as session:
            run = session.get_one(RunRow, ending, with_for_update=True)
            newest = pool.submit(come_due, other)
            wait_for(lambda: waits_for_a_lock(postgres, url), 20, "the other to wait for the run's lock")
            end_attempt(session, run, session.get_one(AttemptRow, run.current), START, RunState.SUCCEEDED)
        made = newest.result()
    stage.ledger.expire()
    assert (shown(stage, ending).state, shown(stage, made).state) == (RunState.SUCCEEDED, RunState.QUEUED)
    stage.close()
    other.close()
    postgres.drop(url)


def waits_for_a_lock(postgres: Postgres, url: str) -> bool:
    """Return whether somebody waits for a row of this database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    with postgres.connect() as connection:
        row = connection.execute(query, [url.rpartition("/")[2]]).fetchone()
    return row is not None and row[0] > 0


def test_of_two_that_come_due_at_the_same_instant_one_is_skipped(db_url: str, tmp_path: Path) -> None:
    stages = [Stage(db_url, tmp_path, clock=lambda: START) for _ in range(4)]
    stages[0].promote("report", overlap="skip")
    together = Barrier(len(stages))

    def due(stage: Stage) -> str:
        together.wait()
        return come_due(stage)

    with ThreadPoolExecutor(len(stages)) as pool:
        runs = list(pool.map(due, stages))
    states = sorted(shown(stages[0], run).state.value for run in runs)
    assert states == ["cancelled", "cancelled", "cancelled", "queued"]
    for stage in stages:
        stage.close()
