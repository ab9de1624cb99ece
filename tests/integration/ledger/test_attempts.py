"""The runner's side: leases, fencing, retries, and runs whose runner died."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from respawn_jobs.api.runner_protocol import CheckpointCommit, Outcome
from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.errors import Conflict, Corrupt, Fenced, InvalidInput, NotFound, Unauthenticated
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.runs import CellState
from respawn_jobs.notebook.document import read_notebook
from respawn_jobs.store.tables import AttemptRow
from respawn_kernels.digest import digest_of
from support.runners import PlayedRunner, calls

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_one_of_many_callers_opens_the_attempt",
    "test_an_attempt_is_claimed_only_once",
    "test_a_replaced_attempt_is_fenced_and_the_new_one_goes_on",
    "test_a_run_whose_settling_was_interrupted_is_settled_by_expire",
    "test_events_are_stored_all_or_none",
    "test_a_run_cancelled_just_before_it_is_tried_again_keeps_its_notebook",
}


def test_one_of_many_callers_opens_the_attempt(queue, ledger):
    run = queue()

    def attempt(_: int) -> bool:
        try:
            ledger.open_attempt(run.id, "local")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_only_the_tokens_hash_is_stored(queue, ledger):
    attempt, token = ledger.open_attempt(queue().id, "local")
    with ledger.database.session() as session:
        row = session.scalars(select(AttemptRow).where(AttemptRow.id == attempt)).one()
        stored = [getattr(row, column.name) for column in AttemptRow.__table__.columns]
    assert all(token not in str(value) for value in stored)


def test_a_wrong_token_and_an_unknown_attempt_get_the_same_answer(queue, ledger):
    attempt, token = ledger.open_attempt(queue().id, "local")
    answers = []
    for port in (ledger.runner(attempt, "wrong"), ledger.runner("att-none", token)):
        with pytest.raises(Unauthenticated) as refused:
            port.claim()
        answers.append(refused.value.message)
    assert answers[0] == answers[1]


def test_an_attempt_is_claimed_only_once(queue, ledger, ada):
    run = queue()
    runner = PlayedRunner(ledger, run.id)
    assert runner.assignment.number == 1
    assert ada.show(run.id).run.state == "running"
    with pytest.raises(Conflict, match="claimed before"):
        runner.port.claim()


def test_nothing_is_taken_from_a_runner_that_did_not_claim(queue, ledger):
    runner = PlayedRunner(ledger, queue().id, claim=False)
    with pytest.raises(Conflict, match="was not claimed"):
        runner.port.finish(Outcome(state="succeeded"))


@pytest.mark.parametrize("place", range(8))
def test_a_finished_run_never_changes(queue, ledger, ada, place):
    run = queue("a = 1")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.succeed()
    before = ada.show(run.id)
    with pytest.raises(Fenced):
        calls(runner)[place]()
    with pytest.raises(Conflict):
        ada.cancel(run.id)
    assert ada.show(run.id) == before


def test_a_replaced_attempt_is_fenced_and_the_new_one_goes_on(queue, ledger, ada, clock):
    run = queue("a = 1", max_attempts=2)
    first = PlayedRunner(ledger, run.id)
    first.begin()
    first.execute(0)
    clock.forward(seconds=20)
    assert ledger.expire() == [run.id]
    assert [waiting.id for waiting in ledger.queued(10)] == [run.id]
    second = PlayedRunner(ledger, run.id)
    assert second.assignment.number == 2
    with pytest.raises(Fenced):
        first.port.finish(Outcome(state="succeeded"))
    second.begin()
    second.execute(0)
    second.succeed()
    shown = ada.show(run.id)
    assert shown.run.state == "succeeded"
    assert [(a.number, a.state) for a in shown.attempts] == [(1, "lost"), (2, "succeeded")]


def test_a_failed_run_is_tried_as_often_as_its_policy_says(queue, ledger, ada):
    run = queue("a = 1", max_attempts=2)
    for expected in ("queued", "failed"):
        runner = PlayedRunner(ledger, run.id)
        runner.begin()
        runner.fail(0)
        assert ada.show(run.id).run.state == expected
    assert ledger.queued(10) == []


def test_a_run_is_not_tried_again_when_a_once_cell_had_begun(queue, ledger, ada):
    run = queue("send()", "b = 1", tags={0: ["respawn:once"]}, max_attempts=3)
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0, checkpoint=False)
    runner.fail(1)
    shown = ada.show(run.id)
    assert shown.run.state == "failed"
    assert "not tried again" in shown.cells[0].note


def test_a_cancelled_run_is_not_tried_again(queue, ledger, ada, clock):
    run = queue("a = 1", max_attempts=3)
    PlayedRunner(ledger, run.id).begin()
    ada.cancel(run.id)
    clock.forward(seconds=20)
    ledger.expire()
    assert ada.show(run.id).run.state == "cancelled"


def test_cancelling_a_run_whose_runner_is_starting_ends_it_at_once(queue, ledger, ada):
    run = queue()
    runner = PlayedRunner(ledger, run.id, claim=False)
    assert ada.cancel(run.id).state == "cancelled"
    with pytest.raises(Fenced):
        runner.claim()


def test_an_executor_can_tell_that_a_runner_is_dead(queue, ledger, ada):
    run = queue("a = 1")
    runner = PlayedRunner(ledger, run.id)
    ledger.lose(runner.attempt, "killed by signal 9")
    ledger.lose(runner.attempt, "again")
    error = ada.show(run.id).run.error
    assert (error.name, error.value) == ("RunnerLost", "killed by signal 9")


def test_a_run_whose_settling_was_interrupted_is_settled_by_expire(queue, ledger, ada, monkeypatch):
    from respawn_jobs.ledger.attempts import runner_port as port

    run = queue("a = 1")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    monkeypatch.setattr(port, "settle", lambda *_: None)  # the process died right after the attempt ended
    runner.succeed()
    assert ada.show(run.id).run.state == "running"
    assert ledger.expire() == [run.id]
    assert ada.show(run.id).run.state == "succeeded"


def test_events_are_stored_all_or_none(queue, ledger, ada):
    run = queue("a = 1", "b = 2")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    with pytest.raises(InvalidInput, match="was not put"):
        runner.port.record(
            [
                runner.event(0, CellState.EXECUTED),
                runner.event(1, CellState.EXECUTED, outputs=digest_of(b"none")),
            ]
        )
    assert [cell.state for cell in ada.show(run.id).cells] == ["pending", "pending"]


def test_a_checkpoint_with_a_missing_blob_is_refused(queue, ledger, ada):
    run = queue("a = 1")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    manifest = runner.put("manifest")
    with pytest.raises(InvalidInput, match="was not put"):
        runner.port.commit_checkpoint(
            CheckpointCommit(
                checkpoint=Checkpoint(cell=0, manifest=manifest, variables=0, size=0),
                blobs=[digest_of(b"none")],
            )
        )
    assert ada.show(run.id).checkpoints == []


def test_bytes_that_do_not_match_their_digest_are_refused(queue, ledger):
    runner = PlayedRunner(ledger, queue().id)
    with pytest.raises(Corrupt):
        runner.port.put_blob(digest_of(b"a"), b"b")
    assert runner.port.missing([digest_of(b"a")]) == [digest_of(b"a")]


def test_a_runner_reads_only_what_belongs_to_its_attempt(queue, ledger):
    runner = PlayedRunner(ledger, queue().id)
    other = ledger.blobs.put_bytes(b"someone else's")
    with pytest.raises(NotFound):
        runner.port.get_blob(other)


def test_the_settings_of_a_run_are_those_of_the_time_it_was_queued(queue, ledger):
    run = queue("a = 1", timeout_seconds=5)
    queue("a = 1", timeout_seconds=9)
    assert PlayedRunner(ledger, run.id).assignment.timeout_seconds == 5


def test_a_run_cancelled_just_before_it_is_tried_again_keeps_its_notebook(queue, ledger, ada, monkeypatch):
    from respawn_jobs.ledger.attempts import retry_policy

    run = queue("a = 1", "b = 2", max_attempts=2)
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    decide = retry_policy.decide

    def cancelled_after(context, session, row, attempt):
        decided = decide(context, session, row, attempt)
        if not row.cancel_requested:
            ada.cancel(run.id)
        return decided

    monkeypatch.setattr(retry_policy, "decide", cancelled_after)
    ledger.lose(runner.attempt, "killed by signal 9")
    shown = ada.show(run.id).run
    assert shown.state == "cancelled"
    assert len(read_notebook(ledger.blobs.get(shown.notebook).decode()).cells[0].outputs) == 1


def test_a_run_whose_recorded_outputs_are_gone_can_be_cancelled(failed, ledger, ada, tmp_path):
    resumed = ada.resume(failed.id, ResumeRequest())
    outputs = ada.show(failed.id).cells[0].outputs
    (tmp_path / "data" / "blobs" / outputs[:2] / outputs).unlink()
    cancelled = ada.cancel(resumed.id)
    assert (cancelled.state, cancelled.notebook) == ("cancelled", None)
    assert "could not be put together" in ada.show(resumed.id).cells[1].note


def test_a_run_waits_for_its_end_while_the_blob_store_is_away(queue, ledger, ada, clock, tmp_path):
    run = queue("a = 1")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    blobs = tmp_path / "data" / "blobs"
    blobs.rename(tmp_path / "away")
    blobs.write_text("a file where a directory should be")
    clock.forward(seconds=20)
    assert ledger.expire() == []
    assert ada.show(run.id).run.state == "running"
    blobs.unlink()
    (tmp_path / "away").rename(blobs)
    assert ledger.expire() == [run.id]
    shown = ada.show(run.id).run
    assert (shown.state, shown.notebook is None) == ("lost", False)
