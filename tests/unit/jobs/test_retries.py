"""Runs that are tried again: by cause, after a pause, from the last kept state or from the top."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from respawn_jobs.api.runner_protocol import PREEMPTED, TERMINATED, Outcome
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.attempts.retry_policy import MAX_REQUEUES, cause_of, pause
from respawn_jobs.model.checkpoints import Unstored
from respawn_jobs.model.runs import CellError, CellState, Run, RunState
from respawn_jobs.model.settings import RETRIED, Cause, RetryPolicy
from support.runners import PlayedRunner

Queue = Callable[..., Run]
AT_ONCE = {"delay_seconds": 0.0}
ONCE = ["respawn:once"]
_GOES_ON = "tried again at once (cell error, 1 of 5): it continues from cell 1"


def policies(attempts: int = 5, **more: object) -> dict[Cause, RetryPolicy]:
    """The same policy for every cause."""
    return {cause: RetryPolicy(attempts=attempts, **{**AT_ONCE, **more}) for cause in RETRIED}


def end(runner: PlayedRunner, name: str, state: str = "failed", cell: int | None = None) -> None:
    """Finish an attempt with an error."""
    runner.port.finish(Outcome(state=state, error=CellError(cell=cell, name=name, value="so it ended")))


@pytest.mark.parametrize(
    ("state", "name", "cause"),
    [
        ("failed", "KeyError", Cause.CELL_ERROR),
        ("failed", "RestoreFailed", Cause.CELL_ERROR),
        ("failed", "InvalidInput", Cause.CELL_ERROR),
        ("failed", "DeadKernel", Cause.DEAD_KERNEL),
        ("failed", "KernelStart", Cause.DEAD_KERNEL),
        ("failed", "OutOfMemory", Cause.OUT_OF_MEMORY),
        ("failed", "MemoryLimitTooLow", Cause.OUT_OF_MEMORY),
        ("failed", "ProcessLimitExceeded", Cause.PROCESS_LIMIT),
        ("failed", "DiskLimitExceeded", Cause.DISK_LIMIT),
        ("lost", "RunnerLost", Cause.RUNNER_LOST),
        ("timed_out", "CellTimeout", Cause.TIMEOUT),
        ("timed_out", "RunTimeout", Cause.TIMEOUT),
        ("lost", PREEMPTED, None),
        ("lost", TERMINATED, None),
        ("failed", PREEMPTED, Cause.CELL_ERROR),
        ("cancelled", "Cancelled", None),
        ("cancelled", "Skipped", None),
        ("succeeded", "", None),
    ],
)
def test_each_end_has_its_cause(state, name, cause):
    error = CellError(cell=None, name=name, value="") if name else None
    assert cause_of(RunState(state), error) is cause


def test_pauses_grow_up_to_the_longest():
    policy = RetryPolicy(delay_seconds=2, factor=3, max_delay_seconds=20, jitter=0)
    assert [pause(policy, ended, 0.5) for ended in (1, 2, 3, 4)] == [2, 6, 18, 20]


def test_chance_makes_a_pause_longer_or_shorter_by_the_jitter():
    policy = RetryPolicy(delay_seconds=10, jitter=0.2)
    assert [pause(policy, 1, chance) for chance in (0.0, 0.5, 1.0)] == [8, 10, 12]


def test_each_cause_has_its_own_count(queue: Queue, ledger, ada):
    retries = {
        Cause.CELL_ERROR: RetryPolicy(attempts=2, delay_seconds=0),
        Cause.DEAD_KERNEL: RetryPolicy(attempts=2, delay_seconds=0),
    }
    run = queue("a = 1", retries=retries)
    for name, expected in (("KeyError", "queued"), ("DeadKernel", "queued"), ("KeyError", "failed")):
        runner = PlayedRunner(ledger, run.id)
        runner.begin()
        end(runner, name)
        assert ada.show(run.id).run.state == expected
    attempts = ada.show(run.id).attempts
    assert [one.cause for one in attempts] == ["cell_error", "dead_kernel", "cell_error"]
    assert [one.number for one in attempts] == [1, 2, 3]


def test_a_retry_waits_for_its_pause_and_says_so(queue: Queue, ledger, ada, clock):
    ledger._context.random = lambda: 0.5
    run = queue("a = 1", retries={Cause.CELL_ERROR: RetryPolicy(attempts=3, delay_seconds=40)})
    for seconds in (40, 80):
        runner = PlayedRunner(ledger, run.id)
        runner.begin()
        runner.fail(0)
        shown = ada.show(run.id)
        assert (shown.run.not_before - clock.now).total_seconds() == seconds
        assert f"tried again after {seconds} s (cell error" in shown.attempts[-1].note


def test_a_retry_goes_on_after_the_last_kept_state(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", "c = b", retries=policies())
    first = PlayedRunner(ledger, run.id)
    first.begin()
    first.execute(0)
    first.execute(1)
    first.fail(2)
    waiting = ada.show(run.id)
    assert (waiting.run.cells_done, waiting.run.state) == (2, "queued")
    assert [cell.state for cell in waiting.cells] == ["executed", "executed", "failed"], "until it begins"
    assert "continues from cell 2" in waiting.attempts[0].note

    second = PlayedRunner(ledger, run.id)
    resume = second.assignment.resume
    assert (resume.first, resume.rerun, [cell.index for cell in resume.reused]) == (2, [], [0, 1])
    assert second.port.get_blob(resume.manifest) == f"manifest of {run.id} at 1".encode()
    assert second.port.get_blob(resume.blobs[0]) == f"data of {run.id} at 1".encode()
    second.begin()
    second.execute(2)
    second.succeed()
    shown = ada.show(run.id)
    assert [cell.state for cell in shown.cells] == ["reused", "reused", "executed"]
    assert (shown.run.state, shown.run.cells_done) == ("succeeded", 3)
    assert [checkpoint.cell for checkpoint in shown.checkpoints] == [0, 1, 2]


def test_what_an_attempt_reused_stays_reused_in_the_next(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", "c = b", "d = c", retries=policies())
    for place in (1, 2, 3):
        runner = PlayedRunner(ledger, run.id)
        runner.begin()
        runner.execute(place - 1)
        runner.fail(place)
    last = PlayedRunner(ledger, run.id)
    assert [cell.index for cell in last.assignment.resume.reused] == [0, 1, 2]
    last.begin()
    assert ada.show(run.id).run.cells_done == 3


def test_a_policy_may_start_over(queue: Queue, ledger):
    run = queue("a = 1", "b = a", retries=policies(resume=False))
    first = PlayedRunner(ledger, run.id)
    first.begin()
    first.execute(0)
    first.fail(1)
    assert PlayedRunner(ledger, run.id).assignment.resume is None


def test_a_resumed_run_that_starts_over_starts_where_it_was_resumed(failed, ada, ledger):
    from respawn_jobs.api.service import Promotion, ResumeRequest
    from support.notebooks import notebook, text

    ada.promote(
        Promotion(
            name="report",
            notebook=text(notebook("a = 1", "b = a", "c = d")),
            settings=ada.job("report").settings.model_copy(
                update={
                    "retries": {**policies(), Cause.TIMEOUT: RetryPolicy(attempts=9, resume=False, **AT_ONCE)}
                }
            ),
        )
    )
    run = ada.resume(failed.id, ResumeRequest())
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(2)
    end(runner, "DeadKernel")  # after the last cell, before the runner could say so
    again = PlayedRunner(ledger, run.id)
    assert again.assignment.resume.first == 3
    again.begin()
    end(again, "RunTimeout", "timed_out")
    over = PlayedRunner(ledger, run.id)
    assert (over.assignment.resume.first, len(over.assignment.resume.reused)) == (2, 2)
    over.begin()
    assert [cell.state for cell in ada.show(run.id).cells] == ["reused", "reused", "pending"]


def test_a_retry_starts_over_when_what_it_needs_could_not_be_stored(queue: Queue, ledger, ada):
    run = queue("lock = make()", "x = 1", "use(lock)", retries=policies())
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0, unstored=(Unstored(name="lock", type="Lock", reason="a lock", cell=0),))
    runner.execute(1, unstored=(Unstored(name="lock", type="Lock", reason="a lock", cell=0),))
    runner.fail(2)
    assert PlayedRunner(ledger, run.id).assignment.resume is None
    assert "starts over: cell 2 reads lock" in ada.show(run.id).attempts[0].note


def test_a_retry_starts_over_when_the_environment_was_rebuilt(queue: Queue, ledger, ada, monkeypatch):
    run = queue("a = 1", "b = a", retries=policies())
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    monkeypatch.setattr(type(ledger._context), "lock_now", lambda *_: "another")
    runner.fail(1)
    assert PlayedRunner(ledger, run.id).assignment.resume is None
    assert "was rebuilt" in ada.show(run.id).attempts[0].note


def test_a_state_that_cannot_be_brought_back_is_not_tried_twice(queue: Queue, ledger):
    run = queue("a = 1", "b = a", retries=policies())
    first = PlayedRunner(ledger, run.id)
    first.begin()
    first.execute(0)
    first.fail(1)
    second = PlayedRunner(ledger, run.id)
    assert second.assignment.resume is not None
    second.begin()
    second.port.record([second.event(0, CellState.REUSED)])
    end(second, "RestoreFailed")
    assert PlayedRunner(ledger, run.id).assignment.resume is None


def test_a_finished_once_cell_is_gone_on_from(queue: Queue, ledger):
    run = queue("a = 1", "send(a)", "c = 1", tags={1: ONCE}, retries=policies())
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.execute(1)
    runner.fail(2)
    assert PlayedRunner(ledger, run.id).assignment.resume.first == 2


def test_a_finished_once_cell_without_a_state_after_it_ends_the_run(queue: Queue, ledger, ada):
    run = queue("a = 1", "send(a)", "c = 1", tags={1: ONCE}, retries=policies())
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.execute(1, checkpoint=False)
    runner.fail(2)
    shown = ada.show(run.id)
    assert shown.run.state == "failed"
    assert "not tried again: cell 1 is tagged respawn:once and had finished" in shown.cells[1].note


def test_a_once_cell_that_had_begun_is_not_tried_again(queue: Queue, ledger, ada):
    run = queue("a = 1", "send(a)", tags={1: ONCE}, retries=policies())
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.start(1)
    ledger.lose(runner.attempt, "killed by signal 9")
    shown = ada.show(run.id)
    assert shown.run.state == "lost"
    assert "had begun" in shown.attempts[0].note


def test_a_runner_that_is_told_to_end_hands_on_without_using_up_a_try(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.start(1)
    end(runner, PREEMPTED, "lost", 1)
    waiting = ada.show(run.id)
    assert (waiting.run.state, waiting.run.not_before) == ("queued", None)
    assert waiting.attempts[0].note == "requeued: it continues from cell 1"
    assert PlayedRunner(ledger, run.id).assignment.resume.first == 1


def test_a_run_can_be_requeued_for_a_runner_that_could_not_report_it(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a")
    for claim in (False, True):
        runner = PlayedRunner(ledger, run.id, claim=claim)
        ledger.requeue(runner.attempt, "the service stopped")
        shown = ada.show(run.id)
        assert (shown.run.state, shown.attempts[-1].error.name) == ("queued", PREEMPTED)


def test_a_run_whose_once_cell_had_begun_is_not_requeued(queue: Queue, ledger, ada):
    run = queue("send()", tags={0: ONCE})
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.start(0)
    ledger.requeue(runner.attempt, "the service stopped")
    shown = ada.show(run.id)
    assert (shown.run.state, shown.run.error.name) == ("lost", PREEMPTED)
    assert "respawn:once" in shown.attempts[0].note


def test_a_cancelled_run_is_not_requeued(queue: Queue, ledger, ada):
    run = queue("a = 1")
    runner = PlayedRunner(ledger, run.id)
    ada.cancel(run.id)
    ledger.requeue(runner.attempt, "the service stopped")
    assert ada.show(run.id).run.state == "cancelled"


def test_a_run_is_not_requeued_for_ever(queue: Queue, ledger, ada):
    run = queue("a = 1")
    for _ in range(MAX_REQUEUES):
        ledger.requeue(PlayedRunner(ledger, run.id, claim=False).attempt, "the service stopped")
    assert ada.show(run.id).run.state == "queued"
    ledger.requeue(PlayedRunner(ledger, run.id, claim=False).attempt, "the service stopped")
    shown = ada.show(run.id)
    assert (shown.run.state, "20 times in a row" in shown.attempts[-1].note) == ("lost", True)


def test_a_runner_told_to_end_where_nobody_can_go_on_ends_its_run(queue: Queue, ledger, ada):
    run = queue("a = 1", retries=policies())
    end(PlayedRunner(ledger, run.id), TERMINATED, "lost")
    assert ada.show(run.id).run.state == "lost"


def test_a_run_is_tried_again_once_the_blobs_are_back(queue: Queue, ledger, ada, clock, tmp_path):
    run = queue("a = 1", "b = a", retries=policies())
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    blobs = tmp_path / "data" / "blobs"
    blobs.rename(tmp_path / "away")
    blobs.write_text("a file where a directory should be")
    clock.forward(seconds=20)
    assert ledger.expire() == []
    blobs.unlink()
    (tmp_path / "away").rename(blobs)
    assert ledger.expire() == [run.id]
    assert PlayedRunner(ledger, run.id).assignment.resume.first == 1


def test_a_run_whose_notebook_is_gone_starts_over(queue: Queue, ledger, ada, tmp_path):
    run = queue("a = 1", "b = a", retries=policies())
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    with ledger.database.session() as session:
        from respawn_jobs.store.tables import RunRow

        skeleton = session.get_one(RunRow, run.id).skeleton
    (tmp_path / "data" / "blobs" / skeleton[:2] / skeleton).unlink()
    ledger.lose(runner.attempt, "killed by signal 9")
    shown = ada.show(run.id)
    assert (shown.run.state, "starts over" in shown.attempts[0].note) == ("queued", True)


def test_a_database_that_goes_away_while_a_try_is_planned_costs_no_state(queue: Queue, ledger, ada):
    run = queue("a = 1", "b = a", retries=policies())
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    gone = OperationalError("SELECT", {}, Exception("terminating connection"), connection_invalidated=True)

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM versions" in statement:
            raise gone

    event.listen(ledger.database.engine, "before_cursor_execute", fail)
    try:
        with pytest.raises(Unavailable):
            runner.fail(1)
    finally:
        event.remove(ledger.database.engine, "before_cursor_execute", fail)
    assert ada.show(run.id).run.state == "running"

    ledger.expire()
    shown = ada.show(run.id)
    assert (shown.run.state, shown.attempts[0].note) == ("queued", _GOES_ON)
