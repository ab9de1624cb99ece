"""Attempts that fall silent: what is lost, what is kept, and who is named as the cause."""

import pytest

from respawn_jobs.errors import Fenced
from respawn_jobs.ledger.attempts.retry_policy import MAX_REQUEUES
from respawn_jobs.notebook.document import read_notebook
from support.runners import PlayedRunner, calls

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_a_silent_runner_is_lost_and_what_its_finished_cells_made_is_kept",
    "test_a_heartbeat_keeps_the_lease",
    "test_what_a_killed_replica_ran_is_lost_at_once_and_nothing_else",
    "test_a_lost_attempt_can_commit_nothing",
}


def test_a_silent_runner_is_lost_and_what_its_finished_cells_made_is_kept(queue, ledger, ada, clock):
    run = queue("a = 1", "b = 2", "c = 3", "d = 4")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.execute(1)
    runner.start(2)
    clock.forward(seconds=14)
    assert ledger.expire() == []
    clock.forward(seconds=2)
    assert ledger.expire() == [run.id]
    shown = ada.show(run.id)
    assert (shown.run.state, shown.run.error.name, shown.run.error.cell) == ("lost", "RunnerLost", 2)
    assert [cell.state for cell in shown.cells] == ["executed", "executed", "failed", "skipped"]
    assert "RunnerLost" in shown.cells[2].note
    assert [checkpoint.cell for checkpoint in shown.checkpoints] == [0, 1]
    executed = read_notebook(ledger.blobs.get(shown.run.notebook).decode())
    assert [len(cell.outputs) for cell in executed.cells] == [1, 1, 0, 0]
    assert ledger.expire() == []


def test_a_heartbeat_keeps_the_lease(queue, ledger, clock):
    runner = PlayedRunner(ledger, queue().id)
    for _ in range(5):
        clock.forward(seconds=10)
        runner.port.heartbeat()
        assert ledger.expire() == []


def test_a_runner_that_never_claims_is_lost_after_its_grace(queue, ledger, ada, clock):
    run = queue()
    ledger.open_attempt(run.id, "local")
    clock.forward(seconds=59)
    assert ledger.expire() == []
    clock.forward(seconds=2)
    assert ledger.expire() == [run.id]
    assert "no runner claimed" in ada.show(run.id).run.error.value


def test_an_attempt_that_no_runner_of_a_service_takes_costs_the_run_nothing(queue, ledger, ada, clock):
    run = queue()
    pauses = []
    for _ in range(MAX_REQUEUES):
        [taken] = ledger.claim_runs("local", "rep-a", 1)
        ledger.lose(taken.attempt, "the service did not answer the claim")
        waiting = ada.show(run.id)
        assert (waiting.run.state, waiting.attempts[-1].cause) == ("queued", None)
        pauses.append((waiting.run.not_before - clock()).total_seconds())
        clock.forward(seconds=pauses[-1])
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert waiting.attempts[0].note == "no runner took it, tried again after 1 s: it starts over"

    [taken] = ledger.claim_runs("local", "rep-a", 1)
    clock.forward(seconds=61)
    assert ledger.expire() == [run.id]
    ended = ada.show(run.id).run
    assert (ended.state, ended.error.name) == ("lost", "NotStarted")
    assert "no runner claimed" in ended.error.value


def _report(ledger, replica):
    ledger.report_replica(replica, host="node-7", slots=1, busy=1, draining=False, health={})


def _claimed(ledger, replica):
    [taken] = ledger.claim_runs("local", replica, 1)
    ledger.runner(taken.attempt, taken.token).claim()
    return taken.attempt


def test_a_run_whose_service_fell_silent_with_it_says_so(queue, ledger, ada, clock):
    run = queue()
    _report(ledger, "rep-a")
    _claimed(ledger, "rep-a")
    clock.forward(seconds=16)
    _report(ledger, "rep-b")
    ledger.expire()
    told = ada.show(run.id).run.error
    assert told.name == "RunnerLost"
    assert told.value.startswith("the service that ran it was killed, or its machine went away")
    assert "on node-7, last heard at" in told.value


def test_a_run_whose_service_is_forgotten_says_so_too(queue, ledger, ada, clock):
    run = queue()
    _claimed(ledger, "rep-a")
    clock.forward(seconds=16)
    ledger.expire()
    assert ada.show(run.id).run.error.value.startswith("the service that ran it was killed")


def test_a_run_whose_service_is_well_blames_its_runner(queue, ledger, ada, clock):
    run = queue()
    _claimed(ledger, "rep-a")
    clock.forward(seconds=16)
    _report(ledger, "rep-a")
    ledger.expire()
    assert ada.show(run.id).run.error.value.startswith("the runner stopped answering")


def test_a_run_whose_runner_lives_unheard_blames_the_machine(queue, ledger, ada, clock):
    run = queue()
    attempt = _claimed(ledger, "rep-a")
    watch = ledger.watch()
    watch.expire({attempt})
    for _ in range(3):
        clock.forward(seconds=8)
        _report(ledger, "rep-a")
        watch.expire({attempt})
    told = ada.show(run.id).run.error.value
    assert told.startswith("the runner's process lives but was not heard for")
    assert "the machine was too busy (load average" in told


def test_what_a_killed_replica_ran_is_lost_at_once_and_nothing_else(queue, ledger, ada):
    runs = {queue().id for _ in range(3)}
    [executing] = ledger.claim_runs("local", "rep-a", 1)
    ledger.runner(executing.attempt, executing.token).claim()
    [unclaimed] = ledger.claim_runs("local", "rep-a", 1)
    [waiting] = runs - {executing.run, unclaimed.run}
    _report(ledger, "rep-a")
    assert set(ledger.lose_replica("rep-a")) == {executing.run, unclaimed.run}
    assert ada.show(executing.run).run.error.value.startswith("the service that ran it was killed")
    assert ada.show(unclaimed.run).run.state == "queued", "nobody had begun it"
    assert ada.show(waiting).attempts == []
    assert ledger.lose_replica("rep-a") == []


@pytest.mark.parametrize("place", range(8))
def test_a_lost_attempt_can_commit_nothing(queue, ledger, ada, clock, place):
    run = queue("a = 1")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    clock.forward(seconds=20)
    ledger.expire()
    before = ada.show(run.id)
    with pytest.raises(Fenced):
        calls(runner)[place]()
    with pytest.raises(Fenced):
        runner.port.claim()
    assert ada.show(run.id) == before
