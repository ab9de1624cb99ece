"""Jobs that run after others, with runners played."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import ArtifactCommit
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.api.triggers import DependencyRequest, Source, TriggerRule
from respawn_jobs.api.versions import JobChange
from respawn_jobs.blobs.artifact_parts import sealed
from respawn_jobs.errors import Forbidden, InvalidInput, NotFound
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.triggers import completion
from respawn_jobs.model.artifacts import Artifact, ArtifactPart
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.service_tables import RunOutboxRow
from respawn_kernels.digest import digest_of
from support.notebooks import notebook, text
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration

both_databases = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
DECLARED = "rows = 1\nname = ''\nstate = ''"


@pytest.fixture
def make(ada):
    """Promote notebooks of ada's under these names."""

    def make(*names, parameters=DECLARED, service=ada):
        for name in names:
            service.promote(
                Promotion(name=name, notebook=text(notebook(f"print('{name}')", parameters=parameters)))
            )

    return make


@pytest.fixture
def play(ada, ledger):
    """Run a job of ada's to its end, without a kernel; returns the run."""

    def play(job, *, fails=False, run=None, **given):
        run = run or ada.run(RunRequest(job=job, parameters=given)).id
        runner = PlayedRunner(ledger, run)
        runner.begin()
        if fails:
            runner.fail(0)
        else:
            runner.succeed()
        return ada.show(run).run

    return play


def following(ledger, ada):
    """Let the loop look once; return the runs that it made."""
    queued, troubled = ledger.trigger_downstream()
    assert not troubled
    return [ada.show(run).run for run in queued]


def left(ledger):
    with ledger.database.session() as session:
        query = select(func.count()).select_from(RunOutboxRow).where(RunOutboxRow.consumer == "downstream")
        return session.scalar(query)


def at_one_time(ada, ledger, clock, *names):
    """Schedule jobs for the same minute and let it come; return their runs by job."""
    for name in names:
        ada.schedule(ScheduleRequest(job=name, cron="0 9 * * *", tz="UTC"))
    clock.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    return {ada.show(run).run.job.rpartition("/")[2]: run for run in ledger.queue_due()}


@both_databases
def test_a_job_runs_once_when_all_upstream_jobs_have_succeeded(make, play, ada, ledger, clock):
    make("a", "b", "c")
    dependency = ada.set_dependency(DependencyRequest(job="c", upstream=["a", "b"], parameters={"rows": 7}))
    due = at_one_time(ada, ledger, clock, "a", "b")
    play("a", run=due["a"])
    assert following(ledger, ada) == []
    play("b", run=due["b"])
    (run,) = following(ledger, ada)
    assert (run.job, run.trigger, run.trigger_id, run.parameters) == (
        "user/ada/c", "dependency", dependency.id, {"rows": 7},
    )  # fmt: skip
    assert run.logical_date == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    assert left(ledger) == 0
    assert following(ledger, ada) == []


def test_one_upstream_job_is_enough_for_any_and_the_second_makes_no_other_run(make, play, ada, ledger, clock):
    make("a", "b", "c")
    ada.set_dependency(DependencyRequest(job="c", upstream=["a", "b"], trigger_rule=TriggerRule.ONE_SUCCESS))
    due = at_one_time(ada, ledger, clock, "a", "b")
    play("a", run=due["a"])
    assert len(following(ledger, ada)) == 1
    play("b", run=due["b"])
    assert following(ledger, ada) == []


def test_a_failure_is_followed_only_when_the_end_is_waited_for(make, play, ada, ledger):
    make("a", "report", "cleanup")
    ada.set_dependency(DependencyRequest(job="report", upstream=["a"]))
    sources = {"state": Source(job="a", take="state"), "name": Source(job="a", take="run")}
    ada.set_dependency(
        DependencyRequest(job="cleanup", upstream=["a"], trigger_rule=TriggerRule.ALL_DONE, sources=sources)
    )
    failed = play("a", fails=True)
    (run,) = following(ledger, ada)
    assert run.job == "user/ada/cleanup"
    assert run.parameters == {"state": "failed", "name": failed.id}


def test_a_failed_run_that_is_restarted_with_success_completes_its_period(make, play, ada, ledger, clock):
    make("a", "b")
    ada.set_dependency(DependencyRequest(job="b", upstream=["a"]))
    failed = play("a", fails=True)
    assert following(ledger, ada) == []
    clock.forward(hours=5)
    again = ada.restart(failed.id, ResumeRequest())
    play("a", run=again.id)
    (run,) = following(ledger, ada)
    assert run.logical_date == failed.logical_date


def test_runs_of_one_local_day_belong_together(make, play, ada, ledger, clock):
    make("a", "b", "c")
    ada.set_dependency(DependencyRequest(job="c", upstream=["a", "b"], period="day", tz="Pacific/Auckland"))
    clock.now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # 01:00 of the 3rd there
    play("a")
    clock.now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)  # 23:30 of the 2nd there
    play("b")
    assert following(ledger, ada) == []
    clock.now = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)  # 23:00 of the 3rd there
    play("b")
    assert len(following(ledger, ada)) == 1
    clock.now = datetime(2026, 3, 3, 10, 30, tzinfo=UTC)
    play("a")
    assert following(ledger, ada) == []


@both_databases
def test_two_ends_at_once_make_one_run(make, play, ada, ledger, clock, store_url, tmp_path):
    make("a", "b", "c")
    ada.set_dependency(DependencyRequest(job="c", upstream=["a", "b"]))
    replicas = [Ledger.embedded(tmp_path / "data", db_url=store_url, clock=clock) for _ in range(4)]
    try:
        for day in range(3, 6):
            due = {}
            clock.now = datetime(2026, 3, day, 9, 0, tzinfo=UTC)
            for name in ("a", "b"):
                due[name] = play(name).logical_date
            assert due["a"] == due["b"]
            with ThreadPoolExecutor(4) as pool:
                made = [run for queued, _ in pool.map(Ledger.trigger_downstream, replicas) for run in queued]
            assert len(made) == 1
    finally:
        for replica in replicas:
            replica.close()
    assert left(ledger) == 0


def test_values_of_artifacts_and_parameters_are_taken(make, play, ada, ledger):
    make("a", "b")
    sources = {
        "rows": Source(job="a", take="artifact", name="count"),
        "name": Source(job="a", take="parameter", name="name"),
    }
    ada.set_dependency(DependencyRequest(job="b", upstream=["a"], sources=sources))
    queued = ada.run(RunRequest(job="a", parameters={"name": "orders"}))
    runner = PlayedRunner(ledger, queued.id)
    runner.begin()
    keep(runner, "count", "json", b"42")
    runner.succeed()
    (run,) = following(ledger, ada)
    assert run.parameters == {"rows": 42, "name": "orders"}


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("pickle", b"x", "of kind pickle"),
        ("json", b"1" * 66_000, "64.5 KiB"),
        ("json", b"{", "cannot be read"),
        ("text", b"many", "expected int"),
        (None, b"", "no artifact 'count'"),
    ],
)
def test_a_value_that_is_no_parameter_makes_a_run_that_failed_and_says_so(
    kind, data, words, make, play, ada, ledger
):
    make("a", "b")
    ada.set_dependency(
        DependencyRequest(
            job="b", upstream=["a"], sources={"rows": Source(job="a", take="artifact", name="count")}
        )
    )
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="a")).id)
    runner.begin()
    if kind:
        keep(runner, "count", kind, data)
    runner.succeed()
    (run,) = following(ledger, ada)
    assert run.state is RunState.FAILED
    assert words in run.error.value


def test_a_cycle_is_refused_with_its_jobs_named(make, ada):
    make("a", "b", "c")
    ada.set_dependency(DependencyRequest(job="b", upstream=["a"]))
    ada.set_dependency(DependencyRequest(job="c", upstream=["b"]))
    with pytest.raises(InvalidInput, match="user/ada/a → user/ada/b → user/ada/c → user/ada/a"):
        ada.set_dependency(DependencyRequest(job="a", upstream=["c"]))
    with pytest.raises(InvalidInput, match="user/ada/a → user/ada/a"):
        ada.set_dependency(DependencyRequest(job="a", upstream=["a"]))
    assert ada.triggers("a").dependency is None


@both_databases
def test_two_people_cannot_close_a_cycle_together(make, ada):
    make("a", "b")

    def try_to(job, after):
        try:
            ada.set_dependency(DependencyRequest(job=job, upstream=[after]))
        except InvalidInput:
            return 0
        return 1

    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(try_to, ("a", "b"), ("b", "a"))) == 1
        for job in ("a", "b"):
            if ada.triggers(job).dependency:
                ada.remove_dependency(job)


def test_an_upstream_job_must_exist_and_be_readable(make, ada, bob):
    make("a")
    make("secret", service=bob)
    with pytest.raises(NotFound, match="there is no job user/ada/nothing"):
        ada.set_dependency(DependencyRequest(job="a", upstream=["nothing"]))
    with pytest.raises(Forbidden, match="belongs to user/bob"):
        ada.set_dependency(DependencyRequest(job="a", upstream=["user/bob/secret"]))
    with pytest.raises(Forbidden):
        bob.set_dependency(DependencyRequest(job="user/ada/a", upstream=["secret"]))


def test_a_paused_or_removed_rule_makes_no_run_and_leaves_no_end(make, play, ada, ledger):
    make("a", "b")
    ada.set_dependency(DependencyRequest(job="b", upstream=["a"]))
    assert ada.pause_dependency("b", paused=True).paused
    play("a")
    assert following(ledger, ada) == []
    assert left(ledger) == 0
    ada.pause_dependency("b", paused=False)
    play("a")
    assert len(following(ledger, ada)) == 1
    ada.remove_dependency("b")
    play("a")
    assert following(ledger, ada) == []
    assert left(ledger) == 0


def test_what_cannot_be_followed_now_holds_up_nothing_and_is_tried_again(
    make, play, ada, ledger, clock, monkeypatch
):
    make("a", "b", "c", "d")
    ada.set_dependency(DependencyRequest(job="b", upstream=["a"]))
    ada.set_dependency(DependencyRequest(job="d", upstream=["c"]))
    play("a")
    play("c")
    whole = completion.queue

    def broken(context, session, job, event):
        if job.name == "b":
            raise RuntimeError("trouble")
        return whole(context, session, job, event)

    clock.forward(seconds=1)
    with monkeypatch.context() as patch:
        patch.setattr(completion, "queue", broken)
        queued, troubled = ledger.trigger_downstream()
    assert [ada.show(run).run.job for run in queued] == ["user/ada/d"]
    assert len(troubled) == 1
    assert [run.job for run in following(ledger, ada)] == ["user/ada/b"]


def test_the_graph_leaves_archived_jobs_out_until_they_are_asked_for(make, ada):
    make("a", "b", "c", "d")
    ada.set_dependency(DependencyRequest(job="b", upstream=["a"]))
    ada.set_dependency(DependencyRequest(job="d", upstream=["b", "c"]))
    ada.change_job("b", JobChange(archived=True))
    seen = ada.graph()
    assert [(edge.upstream, edge.job) for edge in seen.edges] == [("user/ada/c", "user/ada/d")]
    assert [node.job for node in seen.nodes] == ["user/ada/c", "user/ada/d"]
    seen = ada.graph(archived=True)
    assert len(seen.edges) == 3
    assert [node.job for node in seen.nodes if node.archived] == ["user/ada/b"]


def test_the_graph_shows_only_what_one_may_see(make, play, ada, bob, ledger):
    make("a", "b")
    make("mine", service=bob)
    admin = ledger.as_actor(Actor.owner("root"))
    ada.set_dependency(DependencyRequest(job="b", upstream=["a"]))
    admin.set_dependency(DependencyRequest(job="user/bob/mine", upstream=["user/ada/a"]))
    play("a")
    seen = ada.graph()
    assert [(edge.upstream, edge.job) for edge in seen.edges] == [("user/ada/a", "user/ada/b")]
    assert [(node.job, node.state) for node in seen.nodes] == [
        ("user/ada/a", RunState.SUCCEEDED), ("user/ada/b", None),
    ]  # fmt: skip
    assert len(admin.graph("user/bob").edges) == 1
    assert bob.graph().nodes == []
    (hidden,) = bob.triggers("mine").dependency.upstream
    assert hidden.startswith("job-")


def test_rules_are_written_into_the_audit_trail(make, ada, ledger):
    make("a", "b")
    ada.set_dependency(DependencyRequest(job="b", upstream=["a"]))
    ada.remove_dependency("b")
    assert [record.action for record in ada.audit(2)] == ["remove_dependency", "set_dependency"]
    ledger.verify_audit()


def keep(runner, name, kind, data):
    """Commit an artifact of one part."""
    blob = sealed(runner.run, data)
    digest = digest_of(blob)
    runner.port.put_blob(digest, blob)
    artifact = Artifact(
        name=name, number=1, kind=kind, type="any", file=name, size=len(data), saved_at=datetime.now(UTC),
        parts=[ArtifactPart(digest=digest, size=len(data))],
    )  # fmt: skip
    runner.port.commit_artifact(ArtifactCommit(artifact=artifact))
