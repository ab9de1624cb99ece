"""What starts next: by priority, fairly between users, within limits; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import text, update

from respawn_jobs.ledger.attempts.dispatch import _HEADS
from respawn_jobs.store.tables import RunRow
from support.queues import START, Stage, counted_statements

pytestmark = pytest.mark.integration


@pytest.fixture
def stage(db_url: str, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(db_url, tmp_path)
    yield stage
    stage.close()


def test_a_higher_priority_starts_first_and_the_oldest_of_equals(stage: Stage) -> None:
    stage.promote("plain")
    stage.promote("urgent", priority=5)
    stage.promote("low", priority=-5)
    low, first, second, urgent = (stage.run(job) for job in ("low", "plain", "plain", "urgent"))
    assert [stage.take()[0] for _ in range(4)] == [urgent, first, second, low]
    assert stage.take() == []


def test_one_users_thousand_runs_do_not_starve_anothers_one(stage: Stage) -> None:
    stage.promote("sweep")
    first = stage.run("sweep", by="ada")
    stage.many(first, 1_000)
    bobs = stage.run("sweep", by="bob")
    assert stage.take() == [first]
    assert stage.take() == [bobs]


def test_the_cost_of_a_decision_does_not_grow_with_the_runs_that_wait_or_have_ended(stage: Stage) -> None:
    stage.promote("sweep")
    run = stage.run("sweep")

    def cost() -> int:
        with counted_statements(stage.database) as count:
            assert len(stage.take(2)) == 2
            return count()

    stage.many(run, 10)
    few = cost()
    stage.many(run, 1_000)
    stage.many(run, 1_000, state="succeeded", current="att-past")
    assert cost() == few
    with stage.database.session() as session:
        dialect = session.get_bind().dialect.name
        explain = "EXPLAIN QUERY PLAN " if dialect == "sqlite" else "EXPLAIN "
        plan = [str(row[-1]) for row in session.execute(text(explain + _HEADS[dialect].text))]
    used = [line for line in plan if "runs_waiting" in line or "Index Cond" in line]
    assert len(used) == (2 if dialect == "sqlite" else 3)
    assert "priority" in used[-1]
    assert "queue" in used[-1]
    assert not [line for line in plan if "Sort" in line or "TEMP B-TREE" in line or "Filter" in line]


def test_a_job_behind_a_limit_does_not_hold_up_the_others_of_its_user(stage: Stage) -> None:
    stage.promote("narrow", max_parallel=1)
    stage.promote("wide")
    first, _second = stage.run("narrow"), stage.run("narrow")
    wide = stage.run("wide")
    assert stage.take(10) == [first, wide]


def test_each_kind_of_limit_holds_and_its_own_goes_before_the_one_for_each(stage: Stage) -> None:
    for name, namespace in (("a", "team/risk"), ("b", "team/risk"), ("c", "team/sales")):
        stage.promote(name, namespace, queue="gpu" if name == "c" else "default")
    runs = {
        (name, by): stage.run(name, by, namespace)
        for name, namespace in (("a", "team/risk"), ("b", "team/risk"), ("c", "team/sales"))
        for by in ("ada", "bob", "eve")
    }
    stage.limit("namespace", "team/risk", 3)
    stage.limit("namespace", "*", 100)
    stage.limit("user", "*", 1)
    stage.limit("user", "ada", 2)
    stage.limit("queue", "gpu", 0)
    taken = stage.take(100)
    by_user = [user for (_, user), run in runs.items() if run in taken]
    assert len(taken) == 3
    assert by_user.count("bob") <= 1
    assert not {run for (name, _), run in runs.items() if name == "c"} & set(taken)


def test_a_place_that_comes_free_goes_to_who_waits_for_it(stage: Stage) -> None:
    stage.promote("report", max_parallel=1)
    first, second = stage.run("report"), stage.run("report")
    assert stage.take(5) == [first]
    assert stage.take(5) == []
    stage.end(first)
    assert stage.take(5) == [second]


def test_the_jobs_limit_is_that_of_now(stage: Stage) -> None:
    stage.promote("report", max_parallel=1)
    first, second = stage.run("report"), stage.run("report")
    assert stage.take(5) == [first]
    stage.promote("report")
    assert stage.take(5) == [second]


def test_a_run_that_waits_for_a_time_lets_later_ones_go_first(stage: Stage) -> None:
    stage.promote("report")
    first, second = stage.run("report"), stage.run("report")
    with stage.database.session(write=True) as session:
        later = stage.clock.now.replace(hour=9)
        session.execute(update(RunRow).where(RunRow.id == first).values(not_before=later))
    assert stage.take(5) == [second]
    stage.clock.forward(3600)
    assert stage.take(5) == [first]
    assert stage.root.show(first).run.not_before is None


def test_what_is_taken_knows_its_replica(stage: Stage) -> None:
    stage.promote("report")
    run = stage.run("report")
    stage.take(1, "rep-a")
    assert [attempt.replica for attempt in stage.root.show(run).attempts] == ["rep-a"]


def test_replicas_that_take_at_once_keep_the_limit_and_start_each_run_once(
    db_url: str, tmp_path: Path
) -> None:
    stages = [Stage(db_url, tmp_path, clock=lambda: START) for _ in range(4)]
    stages[0].promote("report", max_parallel=7)
    stages[0].promote("other")
    stages[0].many(stages[0].run("report"), 30)
    stages[0].many(stages[0].run("other"), 10)
    together = Barrier(len(stages))

    def replica(stage: Stage) -> list[str]:
        together.wait()
        return [run for _ in range(6) for run in stage.take(2)]

    with ThreadPoolExecutor(len(stages)) as pool:
        taken = [run for runs in pool.map(replica, stages) for run in runs]
    jobs = [stages[0].root.show(run).run.job for run in taken]
    assert len(taken) == len(set(taken)) == 18
    assert jobs.count("team/risk/report") == 7
    for stage in stages:
        stage.close()
