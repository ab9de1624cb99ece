"""A person's Retry: a run that waits starts now, an ended one is gone on from."""

from __future__ import annotations

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.errors import Conflict, Forbidden
from respawn_jobs.model.settings import Cause, RetryPolicy
from support.runners import PlayedRunner

ONCE = ["respawn:once"]


def test_a_run_that_waits_for_its_next_try_starts_now(queue, ledger, ada):
    run = queue("a = 1", retries={Cause.CELL_ERROR: RetryPolicy(attempts=2, delay_seconds=3600)})
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.fail(0)
    assert ada.show(run.id).run.not_before is not None
    again = ada.retry(run.id)
    assert (again.id, again.state, again.not_before) == (run.id, "queued", None)
    with pytest.raises(Conflict, match="does not wait for its next try: it was tried again by ada"):
        ada.retry(run.id)


def test_an_ended_run_is_gone_on_from_its_last_state(failed, ada, ledger):
    again = ada.retry(failed.id)
    assert (again.trigger, again.origin, again.resume_from, again.cells_done) == ("retry", failed.id, 2, 2)
    assert PlayedRunner(ledger, again.id).assignment.resume.first == 2
    shown = ada.show(failed.id).run
    assert (shown.state, shown.resumed_by) == ("failed", again.id)


def test_resume_and_retry_exclude_each_other(failed, ada):
    again = ada.retry(failed.id)
    with pytest.raises(Conflict, match=rf"was tried again already, by ada at .*{again.id}"):
        ada.resume(failed.id, ResumeRequest())
    with pytest.raises(Conflict, match="was tried again already"):
        ada.retry(failed.id)


def test_a_retry_starts_over_where_going_on_is_not_possible(queue, ledger, ada):
    from respawn_jobs.model.checkpoints import Unstored

    run = queue("lock = make()", "use(lock)")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0, unstored=(Unstored(name="lock", type="Lock", reason="a lock", cell=0),))
    runner.fail(1)
    again = ada.retry(run.id)
    assert (again.resume_from, again.cells_done) == (None, 0)
    with pytest.raises(Conflict, match="was tried again already"):
        ada.resume(run.id, ResumeRequest())


@pytest.mark.parametrize("finished", [True, False])
def test_a_retry_executes_no_once_cell_again(queue, ledger, ada, finished):
    run = queue("send()", "b = 1", tags={0: ONCE})
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    if finished:
        runner.execute(0, checkpoint=False)
    runner.fail(1 if finished else 0)
    with pytest.raises(Conflict, match=r"cell 0 is tagged respawn:once.*resume it to decide"):
        ada.retry(run.id)
    assert len(ada.runs()) == 1


def test_there_is_nothing_to_try_again_of_a_success_or_a_running_run(queue, ledger, ada):
    run = queue("a = 1")
    with pytest.raises(Conflict, match="does not wait for its next try: it is queued"):
        ada.retry(run.id)
    runner = PlayedRunner(ledger, run.id)
    with pytest.raises(Conflict, match="is still running: there is nothing to try again"):
        ada.retry(run.id)
    runner.begin()
    runner.execute(0)
    runner.succeed()
    with pytest.raises(Conflict, match="succeeded: there is nothing to try again"):
        ada.retry(run.id)


def test_who_may_only_read_may_not_try_again(failed, ledger):
    reader = ledger.as_actor(Actor("eve", frozenset({"custom:respawn:read!user=ada"})))
    with pytest.raises(Forbidden):
        reader.retry(failed.id)
