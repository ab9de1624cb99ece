"""What a time limit, a cancel and a runner's end keep of a running cell, with real kernels."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from respawn_jobs.api.runner_protocol import PREEMPTED, TERMINATED, CellEvent
from respawn_jobs.model.runs import CellState, RunDetail, RunState
from respawn_jobs.model.settings import Cause, JobSettings, RetryPolicy
from respawn_jobs.runner import cancellable_wait
from respawn_jobs.runner.attempt import execute_attempt
from support.lengths import quick

pytestmark = pytest.mark.integration
SLEEPS = "import time\nprint('so far', flush=True)\ntime.sleep(60)"
IGNORES = """
import time
print('so far', flush=True)
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        x = 'changed'
"""
BUSY = "import time\nprint('so far', flush=True); time.sleep(0.3)\nsum(map(abs, range(10**11)))"


def when_running(cell: int, do: Callable[[], None]) -> Callable[[Sequence[CellEvent]], None]:
    """Return what is told of cells' progress, and does something once a cell has put something out."""
    done = threading.Event()

    def progress(events: Sequence[CellEvent]) -> None:
        said = any(e.index == cell and e.state is CellState.RUNNING and e.outputs for e in events)
        if said and not done.is_set():
            done.set()
            do()

    return progress


def state_before_is_kept(bench, detail: RunDetail, cell: int) -> None:
    """Check the record of a run that was stopped in a cell: outputs so far, and the state before it."""
    assert bench.printed(detail.run.id, cell) == "so far\n"
    assert [cell.state.value for cell in detail.cells] == ["executed", "failed", "skipped"]
    assert [checkpoint.cell for checkpoint in detail.checkpoints] == [cell - 1]
    assert detail.checkpoints[0].unstored == []


@pytest.mark.long
@pytest.mark.parametrize("source", quick({1}, [SLEEPS, IGNORES, BUSY]), ids=["sleeps", "ignores", "busy"])
def test_a_cell_that_takes_too_long_leaves_the_state_before_it(
    bench, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellable_wait, "_USUAL_GRACE_SECONDS", 0.5)
    detail = bench.run("x = [1, 2]", source, "x", settings=JobSettings(cell_timeout_seconds=2))
    assert detail.run.state is RunState.TIMED_OUT
    assert (detail.run.error.name, detail.run.error.cell) == ("CellTimeout", 1)
    state_before_is_kept(bench, detail, 1)


def test_a_cell_that_speaks_of_missing_outputs_is_timed_out_like_any(bench) -> None:
    source = "import time\ntime.sleep(60)  # not: Timeout waiting for IOPub output."
    detail = bench.run(source, settings=JobSettings(cell_timeout_seconds=1))
    assert (detail.run.state, detail.run.error.name) == (RunState.TIMED_OUT, "CellTimeout")


@pytest.mark.long
def test_outputs_that_never_end_are_no_time_limit(bench) -> None:
    detail = bench.run("x = 1", "get_ipython().kernel.iopub_thread.stop()", "x")
    assert detail.run.state is RunState.FAILED
    assert (detail.run.error.name, detail.run.error.cell) == ("OutputTimeout", 1)
    assert detail.checkpoints[-1].cell == 0


def test_a_run_that_takes_too_long_between_cells_leaves_the_state_there(
    bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    over: list[Callable[[], None]] = []

    class Alarm(threading.Timer):
        """Goes off when the test says so."""

        def start(self) -> None:
            over.append(lambda: self.function(*self.args))

    monkeypatch.setattr(threading, "Timer", Alarm)

    def progress(events: Sequence[CellEvent]) -> None:
        if any(event.index == 1 and event.state is CellState.EXECUTED for event in events):
            over[0]()

    run = bench.queue("x = 1", "y = 2", "z = 3", settings=JobSettings(timeout_seconds=600))
    detail = bench.execute(run, progress)
    assert (detail.run.state, detail.run.error.name) == (RunState.TIMED_OUT, "RunTimeout")
    assert [cell.state.value for cell in detail.cells] == ["executed", "executed", "skipped"]
    assert detail.checkpoints[-1].cell == 1


@pytest.mark.long
def test_a_cancel_reaches_the_running_cell_within_seconds_and_keeps_what_there_is(bench) -> None:
    asked: list[float] = []

    def cancel() -> None:
        asked.append(time.monotonic())
        bench.service.cancel(run)

    run = bench.queue("x = [1, 2]", SLEEPS, "x")
    detail = bench.execute(run, when_running(1, cancel))
    assert detail.run.state is RunState.CANCELLED
    assert time.monotonic() - asked[0] < 20, "two seconds and a slow machine's time to save and end"
    state_before_is_kept(bench, detail, 1)


@pytest.mark.long
def test_a_runner_that_is_told_to_end_hands_its_run_on(bench) -> None:
    run = bench.queue("x = [1, 2]", SLEEPS, "x")
    port = bench.ledger.runner(*bench.ledger.open_attempt(run, "test"))
    told = when_running(1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    began = time.monotonic()
    outcome = execute_attempt(port, progress=told, requeue_on_sigterm=True)
    assert (outcome.state, outcome.error.name, outcome.error.cell) == ("lost", PREEMPTED, 1)
    waiting = bench.service.show(run)
    assert (waiting.run.state, waiting.run.not_before) == (RunState.QUEUED, None)
    assert waiting.attempts[0].note == "requeued: it continues from cell 1"
    state_before_is_kept(bench, waiting, 1)
    assert time.monotonic() - began < 40

    assignment = bench.ledger.runner(*bench.ledger.open_attempt(run, "test")).claim()
    assert (assignment.resume.first, [cell.index for cell in assignment.resume.reused]) == (1, [0])


def test_a_runner_told_to_end_where_no_other_goes_on_ends_its_run(bench) -> None:
    run = bench.queue("x = [1, 2]", SLEEPS, "x", settings=JobSettings(max_attempts=3))
    detail = bench.execute(run, when_running(1, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert (detail.run.state, detail.run.error.name) == (RunState.LOST, TERMINATED)
    state_before_is_kept(bench, detail, 1)


@pytest.mark.long
def test_a_retry_executes_on_with_the_variables_as_they_were(bench) -> None:
    flaky = "import os, pathlib\nif not pathlib.Path('mark').exists():\n    open('mark', 'w'); os._exit(1)"
    retries = {Cause.DEAD_KERNEL: RetryPolicy(attempts=2, delay_seconds=0)}
    run = bench.queue("x = [1]", "x.append(2)", flaky, "print(x)", settings=JobSettings(retries=retries))
    assert bench.execute(run).run.state is RunState.QUEUED
    detail = bench.execute(run)
    assert detail.run.state is RunState.SUCCEEDED
    assert [cell.state.value for cell in detail.cells] == ["reused", "reused", "executed", "executed"]
    assert bench.printed(run, 3) == "[1, 2]\n"
