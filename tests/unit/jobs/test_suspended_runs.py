"""A suspended run waits for a person: it holds its state alone, and goes on from there once released."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete, select

from respawn_jobs.access import Actor
from respawn_jobs.api.service import ResumeRequest, RunRequest
from respawn_jobs.api.versions import JobChange
from respawn_jobs.errors import Conflict, Fenced, Forbidden, InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.capacity.concurrency import occupancy
from respawn_jobs.ledger.triggers.trigger_run import TriggerEvent
from respawn_jobs.ledger.triggers.trigger_run import queue as queue_event
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.store.service_tables import RunOutboxRow
from respawn_jobs.store.tables import JobRow
from support.runners import PlayedRunner, calls

Queue = Callable[..., Run]
ADA, BOB = (Actor(name, frozenset({f"custom:respawn:run!user={name}"})) for name in ("ada", "bob"))
ONCE = ["respawn:once"]
_NOTE = "suspended by ada: the budget is used up; when it is released, it continues from cell 2"


def suspended(ledger: Ledger, run: str, reason: str = "the budget is used up") -> PlayedRunner:
    """Suspend a run while its third cell executes; return its runner."""
    runner = PlayedRunner(ledger, run)
    runner.begin()
    runner.execute(0)
    runner.execute(1)
    runner.start(2)
    ledger.suspend(ADA, run, reason)
    return runner


def audited(ada) -> list[str]:
    return [record.action for record in ada.audit() if record.action in ("suspend", "release", "cancel")]


def test_a_suspended_run_has_not_ended_and_has_no_attempt(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", "c = b")
    suspended(ledger, run.id)
    shown = ada.show(run.id)
    assert (shown.run.state, shown.run.finished_at, shown.run.error) == (RunState.SUSPENDED, None, None)
    assert not shown.run.state.final
    assert shown.run.waiting == _NOTE
    [attempt] = shown.attempts
    assert (attempt.state, attempt.note, attempt.cause, attempt.error) == ("suspended", _NOTE, None, None)
    assert attempt.finished_at is not None
    assert [cell.state for cell in shown.cells] == ["executed", "executed", "failed"]
    assert shown.cells[2].note == "the run was suspended while this cell ran"
    assert [one.cell for one in shown.checkpoints] == [0, 1]
    assert ada.runs(states=[RunState.SUSPENDED])[0].waiting == _NOTE


def test_the_runner_of_a_suspended_run_is_fenced(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", "c = b")
    runner = suspended(ledger, run.id)
    for call in calls(runner):
        with pytest.raises(Fenced):
            call()
    assert ledger.open_attempts([runner.attempt]) == set(), "its executor ends it"
    assert ada.show(run.id).run.state is RunState.SUSPENDED


def test_no_lease_runs_out_while_it_waits_and_nobody_starts_it(queue: Queue, ledger, ada, clock):
    run = queue("a = 1", "b = a", "c = b")
    suspended(ledger, run.id)
    clock.forward(days=30)
    assert ledger.expire() == []
    assert ledger.claim_runs("local", None, 10) == []
    with pytest.raises(Conflict, match="does not wait for a runner"):
        ledger.open_attempt(run.id, "local")
    assert ada.show(run.id).run.state is RunState.SUSPENDED


def test_it_takes_no_place_of_those_that_may_execute_at_once(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", "c = b", max_parallel=1)
    suspended(ledger, run.id)
    with ledger.database.session() as session:
        assert occupancy(session).counts == {}
    [usage] = ada.usage()
    assert (usage.executing, usage.waiting) == (0, 0)
    other = ada.run(RunRequest(job=run.job))
    assert [one.run for one in ledger.claim_runs("local", None, 10)] == [other.id]


def test_released_it_goes_on_from_the_last_kept_state(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", "c = b")
    suspended(ledger, run.id)
    released = ledger.release(ADA, run.id)
    assert (released.state, released.not_before) == (RunState.QUEUED, None)
    second = PlayedRunner(ledger, run.id)
    resume = second.assignment.resume
    assert (resume.first, resume.rerun, [cell.index for cell in resume.reused]) == (2, [], [0, 1])
    second.begin()
    second.execute(2)
    second.succeed()
    shown = ada.show(run.id)
    assert (shown.run.state, shown.run.cells_done) == (RunState.SUCCEEDED, 3)
    assert [one.state for one in shown.attempts] == ["suspended", "succeeded"]
    assert [cell.state for cell in shown.cells] == ["reused", "reused", "executed"]
    assert audited(ada) == ["release", "suspend"]


def test_it_can_be_suspended_again_and_counts_for_no_retry_policy(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", "c = b")
    for number in range(25):
        runner = PlayedRunner(ledger, run.id)
        runner.begin()
        if number == 0:
            runner.execute(0)
        ledger.suspend(ADA, run.id, f"approval {number}")
        ledger.release(ADA, run.id)
    last = PlayedRunner(ledger, run.id)
    assert last.assignment.resume.first == 1
    assert ada.show(run.id).run.state is RunState.RUNNING


def test_a_person_cancels_it_and_may_resume_it(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", "c = b")
    suspended(ledger, run.id)
    cancelled = ada.cancel(run.id)
    assert cancelled.state is RunState.CANCELLED
    assert cancelled.waiting is None
    assert cancelled.notebook is not None, "the notebook as far as it came"
    with pytest.raises(Conflict, match=r"is not suspended: it was cancelled by ada"):
        ledger.release(ADA, run.id)
    assert ada.resume(run.id, ResumeRequest()).resume_from == 2


def test_only_a_run_that_runs_is_suspended_and_only_a_suspended_one_released(queue: Queue, ledger, ada):
    run = queue("a = 1")
    with pytest.raises(Conflict, match=r"does not run: it is queued"):
        ledger.suspend(ADA, run.id, "why")
    with pytest.raises(Conflict, match=r"is not suspended: it is queued"):
        ledger.release(ADA, run.id)
    runner = PlayedRunner(ledger, run.id, claim=False)
    with pytest.raises(Conflict, match=r"does not run: it is queued"):
        ledger.suspend(ADA, run.id, "why")
    runner.claim()
    ada.cancel(run.id)
    with pytest.raises(Conflict, match="was asked to stop"):
        ledger.suspend(ADA, run.id, "why")
    other = ada.run(RunRequest(job=run.job))
    PlayedRunner(ledger, other.id)
    ledger.suspend(ADA, other.id, "why")
    with pytest.raises(Conflict, match=r"does not run: it was suspended by ada at"):
        ledger.suspend(ADA, other.id, "why")
    with pytest.raises(Conflict, match="is still suspended"):
        ada.retry(other.id)


def test_who_may_not_run_a_job_neither_suspends_nor_releases_it(queue: Queue, ledger):
    run = queue("a = 1")
    PlayedRunner(ledger, run.id)
    with pytest.raises(Forbidden):
        ledger.suspend(BOB, run.id, "why")
    with pytest.raises(InvalidInput, match="500 at most"):
        ledger.suspend(ADA, run.id, "why" * 200)
    ledger.suspend(ADA, run.id, "why")
    with pytest.raises(Forbidden):
        ledger.release(BOB, run.id)


def test_a_run_is_not_suspended_where_it_could_not_go_on(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = send()", "c = b", tags={1: ONCE})
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.start(1)
    with pytest.raises(Conflict, match=r"cannot be suspended, .*cell 1 is tagged respawn:once and had begun"):
        ledger.suspend(ADA, run.id, "why")
    assert ada.show(run.id).run.state is RunState.RUNNING
    runner.port.heartbeat()


def test_one_that_could_not_go_on_by_now_stays_suspended(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = send()", "c = b", tags={1: ONCE})
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.execute(1)
    ledger.suspend(ADA, run.id, "why")
    before = ledger._context.lock_now
    ledger._context.lock_now = lambda name, otherwise, at=None: "rebuilt"
    with pytest.raises(Conflict, match=r"cannot be released, .*Cancel it, then resume it"):
        ledger.release(ADA, run.id)
    assert ada.show(run.id).run.state is RunState.SUSPENDED
    ledger._context.lock_now = before
    assert ledger.release(ADA, run.id).state is RunState.QUEUED


def test_its_states_and_the_run_stay_while_it_waits(queue: Queue, ledger, ada, clock):
    run = queue("a = 1", "b = a", "c = b", keep_runs=1, keep_days=0.5)
    suspended(ledger, run.id)
    for _ in range(2):
        runner = PlayedRunner(ledger, ada.run(RunRequest(job=run.job)).id)
        runner.begin()
        runner.succeed()
        clock.forward(days=2)
    with ledger.database.session(write=True) as session:
        session.execute(delete(RunOutboxRow))
    ledger.remove_old_runs()
    clock.forward(days=30)
    ledger.as_actor(Actor.owner("root")).collect()
    ledger.release(ADA, run.id)
    second = PlayedRunner(ledger, run.id)
    assert second.assignment.resume.first == 2
    assert second.port.get_blob(second.assignment.resume.manifest) == f"manifest of {run.id} at 1".encode()


def test_its_job_is_not_archived_meanwhile(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", "c = b")
    suspended(ledger, run.id)
    with pytest.raises(Conflict, match="has not ended"):
        ada.change_job(run.job, JobChange(archived=True))


def test_by_its_overlap_policy_it_has_not_ended(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", "c = b", overlap="skip")
    suspended(ledger, run.id)
    event = TriggerEvent("schedule", "sch-0000000000", "now", "ada", {})
    with ledger.database.session(write=True) as session:
        job = session.scalars(select(JobRow)).one()
        skipped = queue_event(ledger._context, session, job, event)
        assert skipped is not None
        made = skipped.id
    assert ada.show(made).run.error.value == f"{run.id} of the same job had not ended"
    assert ada.show(run.id).run.state is RunState.SUSPENDED


def test_the_figures_of_the_service_count_it(queue: Queue, ledger):
    run = queue("a = 1", "b = a", "c = b")
    suspended(ledger, run.id)
    figures = ledger.operations().figures()
    assert figures.runs == {"queued": 0, "running": 0, "suspended": 1}
    assert (figures.queues, figures.waiting, figures.heartbeat_seconds) == ({}, {}, 0.0)
