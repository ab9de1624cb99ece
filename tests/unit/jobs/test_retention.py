"""Runs that their job no longer keeps are removed; those that somebody may need are not."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, func, select

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.errors import Forbidden, NotFound
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.triggers.trigger_run import TriggerEvent
from respawn_jobs.ledger.triggers.trigger_run import queue as queue_event
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.service_tables import RunOutboxRow
from respawn_jobs.store.tables import AttemptRow, CellRow, CheckpointBlobRow, CheckpointRow, JobRow, RunRow
from respawn_jobs.store.trigger_tables import TombstoneRow
from support.notebooks import notebook, text
from support.runners import PlayedRunner


@pytest.fixture
def job(ada, ledger: Ledger, clock):
    """Makes ended runs of a job with these settings, a day apart; returns their ids."""

    def job(count: int, *, state: str = "failed", **settings: object) -> list[str]:
        nb = text(notebook("a = 1", "b = a"))
        ada.promote(Promotion(name="report", notebook=nb, settings=JobSettings(**settings)))
        return [play(ada, ledger, clock, state) for _ in range(count)]

    return job


def play(ada, ledger, clock, state: str = "failed") -> str:
    run = ada.run(RunRequest(job="report")).id
    runner = PlayedRunner(ledger, run)
    runner.begin()
    runner.execute(0)
    runner.fail(1) if state == "failed" else runner.succeed()
    acted_on(ledger)
    clock.forward(days=1)
    return run


def acted_on(ledger: Ledger) -> None:
    with ledger.database.session(write=True) as session:
        session.execute(delete(RunOutboxRow))


def kept(ada) -> list[str]:
    return [run.id for run in reversed(ada.runs(job="report"))]


def test_the_newest_runs_are_kept_by_count(job, ada, ledger):
    runs = job(5, keep_runs=2)
    assert ledger.remove_old_runs() == {"user/ada/report": 3}
    assert kept(ada) == runs[3:]
    assert ledger.remove_old_runs() == {}


def test_a_removed_run_leaves_no_rows_and_its_blobs_go_with_the_next_collection(job, ada, ledger, clock):
    first, *_ = job(3, keep_runs=1)
    manifest = ada.show(first).checkpoints[0].manifest
    ledger.remove_old_runs()
    with ledger.database.session() as session:
        for table in (AttemptRow, CellRow, CheckpointRow, CheckpointBlobRow):
            rows = select(func.count()).select_from(table).where(table.run_id == first)
            assert session.scalar(rows) == 0
    with pytest.raises(NotFound):
        ada.show(first)
    clock.forward(days=2)
    assert ledger.collector().step().removed > 0
    assert not ledger.blobs.exists(manifest)
    assert ada.notebook(kept(ada)[-1])


def test_runs_are_kept_by_age_and_the_latest_in_any_case(job, ada, ledger, clock):
    runs = job(4, keep_days=2.5)
    assert ledger.remove_old_runs() == {"user/ada/report": 2}
    clock.forward(days=100)
    ledger.remove_old_runs()
    assert kept(ada) == runs[3:]


def test_without_settings_everything_is_kept(job, ada, ledger, clock):
    runs = job(3)
    clock.forward(days=5000)
    assert ledger.remove_old_runs() == {}
    assert kept(ada) == runs


def test_a_pinned_run_stays_until_it_is_unpinned(job, ada, ledger):
    first, _, third = job(3, keep_runs=1)
    assert ada.pin(first, pinned=True).pinned
    ledger.remove_old_runs()
    assert kept(ada) == [first, third]
    assert not ada.pin(first, pinned=False).pinned
    ledger.remove_old_runs()
    assert kept(ada) == [third]


def test_an_open_run_is_never_removed(job, ada, ledger, clock):
    job(1, keep_runs=1)
    waiting = ada.run(RunRequest(job="report")).id
    clock.forward(days=1)
    later = play(ada, ledger, clock)
    ledger.remove_old_runs()
    assert kept(ada) == [waiting, later]


def test_a_run_that_an_open_run_resumes_stays(job, ada, ledger, clock):
    first, _ = job(2, keep_runs=1)
    resumed = ada.resume(first, ResumeRequest())
    clock.forward(days=1)
    last = play(ada, ledger, clock)
    ledger.remove_old_runs()
    assert kept(ada) == [first, resumed.id, last]
    runner = PlayedRunner(ledger, resumed.id)
    runner.begin()
    runner.execute(1)
    runner.succeed()
    acted_on(ledger)
    ledger.remove_old_runs()
    assert kept(ada) == [last]


def test_a_run_whose_end_is_yet_to_be_acted_on_stays(job, ada, ledger, clock):
    first, second = job(2, keep_runs=1)
    with ledger.database.session(write=True) as session:
        session.add(RunOutboxRow(consumer="notify", run_id=first, at=clock()))
    ledger.remove_old_runs()
    assert kept(ada) == [first, second]


def test_a_run_that_a_debugger_opened_stays_for_a_day(job, ada, ledger, clock):
    first, second = job(2, keep_runs=1)
    ada.debug(first)
    ledger.remove_old_runs()
    assert kept(ada) == [first, second]
    clock.forward(hours=25)
    ledger.remove_old_runs()
    assert kept(ada) == [second]


def test_a_surviving_run_says_that_its_origin_is_no_longer_kept(job, ada, ledger, clock):
    first, _ = job(2, keep_runs=1)
    again = ada.restart(first, ResumeRequest())
    assert ada.show(again.id).run.origin_kept
    ledger.remove_old_runs()
    run = ada.show(again.id).run
    assert (run.origin, run.origin_kept) == (first, False)


def test_a_removal_is_told_in_one_audit_record(job, ada, ledger):
    runs = job(4, keep_runs=1)
    ledger.remove_old_runs()
    records = [record for record in ada.audit() if record.action == "remove runs"]
    assert len(records) == 1
    assert records[0].subject == "user/ada/report"
    assert sorted(records[0].details["runs"]) == sorted(runs[:3])
    assert ledger.verify_audit() > 0


def test_a_period_whose_run_is_no_longer_kept_makes_no_other(job, ada, ledger, clock):
    job(1, keep_runs=1)
    event = TriggerEvent("dependency", "dep-0000000000", "2026-03-02", "ada", {})

    def fire() -> str | None:
        with ledger.database.session(write=True) as session:
            row = queue_event(ledger._context, session, session.scalars(select(JobRow)).one(), event)
            return row.id if row else None

    made = fire()
    PlayedRunner(ledger, made).port.finish(_succeeded())
    acted_on(ledger)
    clock.forward(days=1)
    play(ada, ledger, clock)
    ledger.remove_old_runs()
    with ledger.database.session() as session:
        assert session.get(RunRow, made) is None
        assert session.get(TombstoneRow, ("dep-0000000000", "2026-03-02")) is not None
    assert fire() is None


def _succeeded():
    from respawn_jobs.api.runner_protocol import Outcome

    return Outcome(state="succeeded")


def test_old_records_go_and_a_job_that_makes_trouble_holds_up_no_other(job, ada, ledger, clock):
    job(3, keep_runs=1)
    with ledger.database.session(write=True) as session:
        broken = session.scalars(select(JobRow)).one()
        session.add(
            JobRow(
                id="job-0000000000", namespace="user/ada", name="aaa", version=1,
                settings={**broken.settings, "keep_runs": 1, "priority": "high"}, created_by="ada",
                created_at=clock(),
            )
        )  # fmt: skip
    assert ledger.remove_old_runs() == {"user/ada/report": 2}
    ledger.remove_old_records()


def test_pinning_needs_the_right_to_run(job, bob, ledger):
    (run,) = job(1)
    reader = ledger.as_actor(Actor("eve", frozenset({"custom:respawn:read!user=ada"})))
    for somebody in (bob, reader):
        with pytest.raises(Forbidden):
            somebody.pin(run, pinned=True)
