"""The dispatcher starts what waits, whatever other runs hold, and spares runners that it could not hear."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respawn_hub.loops.dispatcher import Dispatcher
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest, Service
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import JobPlace
from respawn_jobs.model.runs import CellState, RunState
from support.clocks import MovedClock
from support.executors import NoPlaces
from support.notebooks import notebook, text
from support.runners import PlayedRunner, printed


class ListedRunners(NoPlaces):
    """An executor that starts nothing: tests play the runners themselves."""

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.dead: list[tuple[str, str]] = []
        self.cancelled: list[str] = []

    def submit(self, attempt: str, token: str, place: JobPlace) -> None:
        self.submitted.append(attempt)

    def cancel(self, attempt: str) -> None:
        self.cancelled.append(attempt)
        self.submitted.remove(attempt)

    def probe(self) -> list[tuple[str, str]]:
        dead, self.dead = self.dead, []
        return dead

    def living(self) -> set[str]:
        return set(self.submitted)

    def close(self) -> None:
        self.submitted.clear()


@pytest.fixture
def ada(ledger: Ledger) -> Service:
    service = ledger.as_actor(Actor.owner("ada"))
    service.promote(Promotion(name="report", notebook=text(notebook("a = 1", "b = a"))))
    return service


@pytest.fixture
def executor() -> ListedRunners:
    return ListedRunners()


@pytest.fixture
def dispatcher(ledger: Ledger, executor: ListedRunners) -> Dispatcher:
    return Dispatcher(ledger, executor, max_running=4)


def spoilt(ledger: Ledger, ada: Service, data: Path, how: str) -> PlayedRunner:
    """A running run with a finished cell whose recorded outputs make no notebook."""
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    outputs = {
        "gone": json.dumps([printed(0)]),
        "no JSON": "hello",
        "no list": "{}",
        "no outputs": '["hello"]',
        "half an output": '[{"output_type": "stream"}]',
        "half a surrogate pair": json.dumps([{**printed(0), "text": "x\ud800"}]),
    }[how]
    digest = runner.put(outputs)
    runner.port.record([runner.event(0, CellState.EXECUTED, outputs=digest)])
    if how == "gone":
        (data / "blobs" / digest[:2] / digest).unlink()
    return runner


def test_one_that_cannot_be_started_holds_up_no_other(
    ledger: Ledger, ada: Service, executor: ListedRunners, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [ada.run(RunRequest(job="report")).id for _ in range(3)]
    submit = executor.submit

    def refuse_the_first(attempt: str, token: str, place: JobPlace) -> None:
        monkeypatch.setattr(executor, "submit", submit)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(executor, "submit", refuse_the_first)
    with pytest.raises(Unavailable, match="can't start new thread"):
        Dispatcher(ledger, executor, max_running=4, replica="rep-a").tick()
    attempts = [ada.show(run).attempts[0] for run in runs]
    assert len(executor.submitted) == 2
    [refused] = [attempt for attempt in attempts if attempt.id not in executor.submitted]
    assert (refused.state, refused.error.name) == (RunState.LOST, "NotStarted")
    assert {ada.show(run).run.state for run in runs} == {RunState.QUEUED}


def test_of_two_executors_the_one_that_ends_with_the_service_has_its_runs_requeued(
    ledger: Ledger, ada: Service
) -> None:
    class OneEach(ListedRunners):
        def __init__(self, *, outlives: bool) -> None:
            super().__init__()
            self.outlives = outlives

        def places(self, waiting):
            return dict.fromkeys(waiting(), 0 if self.submitted else 1)

    runs = [ada.run(RunRequest(job="report")).id for _ in range(3)]
    servers, beside = OneEach(outlives=True), OneEach(outlives=False)
    dispatcher = Dispatcher(
        ledger, servers, max_running=4, name="hub", replica="rep-a", also={"local": beside}
    )
    dispatcher.tick()
    attempts = {run: ada.show(run).attempts for run in runs}
    assert sorted(one.executor for found in attempts.values() for one in found) == ["hub", "local"]
    assert [one.replica for found in attempts.values() for one in found if one.executor == "local"] == [
        "rep-a"
    ]
    assert dispatcher.busy == 2
    [ended] = beside.submitted
    beside.dead = [(ended, "it was killed")]
    beside.submitted.clear()
    dispatcher.tick()
    assert len(beside.submitted) == 1, "its place is free for what waits"
    dispatcher.close()
    assert {ada.show(run).run.state for run in runs} == {RunState.QUEUED}, (
        "the hub's runner has not claimed it"
    )
    assert [one.state for run in runs for one in ada.show(run).attempts if one.executor == "hub"] == [
        RunState.QUEUED
    ]


def test_a_runner_that_holds_a_place_after_its_attempt_ended_is_killed(
    ledger: Ledger, ada: Service, clock: MovedClock, executor: ListedRunners
) -> None:
    seconds = [0.0]
    dispatcher = Dispatcher(ledger, executor, max_running=1, monotonic=lambda: seconds[0])
    run = ada.run(RunRequest(job="report")).id
    dispatcher.tick()
    [stuck] = executor.submitted
    clock.forward(seconds=61)
    dispatcher.tick()
    assert ada.show(run).attempts[0].state is RunState.LOST
    seconds[0] += 29
    dispatcher.tick()
    assert executor.cancelled == [], "it may still be stopping"
    seconds[0] += 2
    dispatcher.tick()
    assert executor.cancelled == [stuck]
    waiting = ada.run(RunRequest(job="report")).id
    dispatcher.tick()
    assert [attempt.id for attempt in ada.show(waiting).attempts] == executor.submitted


SPOILT = ("gone", "no JSON", "no list", "no outputs", "half an output", "half a surrogate pair")


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("found_by", ["lease", "executor"])
def test_a_run_that_cannot_be_settled_holds_up_nobody(
    ledger: Ledger, ada: Service, clock: MovedClock, executor: ListedRunners, dispatcher: Dispatcher,
    tmp_path: Path, how: str, found_by: str,
) -> None:  # fmt: skip
    runner = spoilt(ledger, ada, tmp_path / "data", how)
    other = ada.run(RunRequest(job="report"))
    if found_by == "executor":
        executor.dead.append((runner.attempt, "killed by signal 9"))
    for _ in range(5):
        dispatcher.tick()
        clock.forward(seconds=8)
    assert len(executor.submitted) == 1
    assert [attempt.id for attempt in ada.show(other.id).attempts] == executor.submitted
    shown = ada.show(runner.run)
    assert (shown.run.state, shown.run.error.name) == (RunState.LOST, "RunnerLost")
    if how == "half a surrogate pair":
        assert "x?" in ada.notebook(runner.run)
    else:
        assert shown.run.notebook is None
        assert "the executed notebook could not be put together" in shown.cells[0].note


def test_whatever_happens_to_one_run_the_queue_moves_on(
    ledger: Ledger, ada: Service, clock: MovedClock, executor: ListedRunners, dispatcher: Dispatcher,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    from respawn_jobs.ledger.attempts import lifecycle as attempts

    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    ada.run(RunRequest(job="report"))

    def broken(*_: object) -> None:
        raise RuntimeError("nobody thought of this")

    with monkeypatch.context() as patch:
        patch.setattr(attempts, "settle", broken)
        executor.dead.append((runner.attempt, "killed by signal 9"))
        dispatcher.tick()
    assert len(executor.submitted) == 1
    assert runner.attempt in caplog.text
    assert "nobody thought of this" in caplog.text
    dispatcher.tick()
    assert ada.show(runner.run).run.state is RunState.LOST


def test_runners_keep_their_places_when_the_machine_slept(
    ledger: Ledger, ada: Service, clock: MovedClock, dispatcher: Dispatcher
) -> None:
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    for _ in range(10):
        runner.port.heartbeat()
        dispatcher.tick()
        clock.forward(seconds=5)
    clock.forward(seconds=3600)
    dispatcher.tick()
    clock.forward(seconds=5)
    dispatcher.tick()
    assert runner.port.heartbeat().command == "continue"
    runner.succeed()
    assert ada.show(runner.run).run.state is RunState.SUCCEEDED


def test_a_runner_that_died_while_the_machine_slept_is_lost_one_lease_later(
    ledger: Ledger, ada: Service, clock: MovedClock, dispatcher: Dispatcher
) -> None:
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    dispatcher.tick()
    clock.forward(seconds=3600)
    for _ in range(3):
        dispatcher.tick()
        assert ada.show(runner.run).run.state is RunState.RUNNING
        clock.forward(seconds=5)
    dispatcher.tick()
    assert ada.show(runner.run).run.state is RunState.LOST


def test_a_service_that_starts_hears_its_runners_before_it_loses_them(
    ledger: Ledger, ada: Service, clock: MovedClock, executor: ListedRunners
) -> None:
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    clock.forward(seconds=100)
    started = Dispatcher(ledger, executor, max_running=4)
    started.tick()
    runner.port.heartbeat()
    clock.forward(seconds=8)
    started.tick()
    clock.forward(seconds=8)
    started.tick()
    assert ada.show(runner.run).run.state is RunState.LOST  # it was heard once, a lease ago


def test_a_loop_that_is_always_late_loses_dead_runners_all_the_same(
    ledger: Ledger, ada: Service, clock: MovedClock, dispatcher: Dispatcher
) -> None:
    dead = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    alive = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    for _ in range(4):
        alive.port.heartbeat()
        dispatcher.tick()
        clock.forward(seconds=10)
    assert ada.show(dead.run).run.state is RunState.LOST
    assert ada.show(alive.run).run.state is RunState.RUNNING


def test_a_runner_that_never_claimed_gets_no_grace_from_sleep(
    ledger: Ledger, ada: Service, clock: MovedClock, executor: ListedRunners, dispatcher: Dispatcher
) -> None:
    run = ada.run(RunRequest(job="report"))
    dispatcher.tick()
    clock.forward(seconds=61)
    dispatcher.tick()
    assert ada.show(run.id).run.state is RunState.LOST
