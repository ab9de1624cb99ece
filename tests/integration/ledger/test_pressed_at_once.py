"""Two people press Resume, Retry and Cancel on one run at the same instant: one wins, the other is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import ResumeRequest, SeenRun, Service
from respawn_jobs.errors import Conflict, Fenced
from respawn_jobs.model.runs import Run
from respawn_jobs.model.settings import Cause, RetryPolicy
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
BOTH_DATABASES = True
ROUNDS = 6
LATER = {Cause.CELL_ERROR: RetryPolicy(attempts=3, delay_seconds=3600)}
Call = Callable[[], Any]


@pytest.fixture
def bob(ledger) -> Service:
    """Another person who may act on ada's runs."""
    return ledger.as_actor(Actor("bob", frozenset({"custom:respawn:edit!user=ada"})))


def at_once(*calls: Call) -> list[Any]:
    """Make calls at the same instant; return what each returned, or the refusal that it got."""
    together = threading.Barrier(len(calls))

    def made(call: Call) -> Any:
        together.wait(30)
        try:
            return call()
        except (Conflict, Fenced) as refused:
            return refused

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(made, calls))


def parted(answers: list[Any]) -> tuple[list[Any], list[Conflict]]:
    """Return what the winners got, and what the losers were told."""
    lost = [answer for answer in answers if isinstance(answer, Conflict)]
    return [answer for answer in answers if not isinstance(answer, Conflict)], lost


def records(ada: Service, *actions: str) -> list[tuple[str, str, str]]:
    return [(one.actor, one.action, one.subject) for one in ada.audit(1000) if one.action in actions]


def failed_run(queue: Any, ledger: Any, **settings: Any) -> Run:
    run: Run = queue("a = 1", "b = a", **settings)
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    return run


def test_a_failed_run_is_resumed_or_tried_again_once(queue, ledger, ada, bob):
    for _ in range(ROUNDS):
        run = failed_run(queue, ledger)
        seen = ada.show(run.id).run.revision
        request = ResumeRequest(revision=seen)
        before = len(records(ada, "resume", "retry"))
        (won,), lost = parted(
            at_once(
                lambda run=run, request=request: ada.resume(run.id, request),
                lambda run=run, seen=seen: bob.retry(run.id, SeenRun(revision=seen)),
                lambda run=run, request=request: bob.resume(run.id, request),
            )
        )
        assert len(lost) == 2
        how = "tried again" if won.trigger == "retry" else "resumed"
        for refused in lost:
            assert (
                f"{run.id} was {how} already, by {won.created_by} at 2026-03-02 08:00:00" in refused.message
            )
            assert refused.fields["resumed_by"] == won.id
        made = records(ada, "resume", "retry")
        assert len(made) == before + 1
        assert made[0] == (won.created_by, won.trigger, won.id)
        assert ada.show(run.id).run.resumed_by == won.id


def test_a_run_that_waits_for_its_next_try_is_cancelled_or_started(queue, ledger, ada, bob):
    for _ in range(ROUNDS):
        run = failed_run(queue, ledger, retries=LATER)
        seen = SeenRun(revision=ada.show(run.id).run.revision)
        before = len(records(ada, "cancel", "retry-now"))
        answers = at_once(
            lambda run=run, seen=seen: ada.cancel(run.id, seen),
            lambda run=run, seen=seen: bob.retry(run.id, seen),
        )
        (won,), (refused,) = parted(answers)
        now = ada.show(run.id).run
        made = records(ada, "cancel", "retry-now")
        assert len(made) == before + 1
        if won is answers[0]:
            assert now.state == "cancelled"
            assert "was cancelled by ada at 2026-03-02 08:00:00 UTC" in refused.message
            assert made[0] == ("ada", "cancel", run.id)
        else:
            assert (now.state, now.not_before) == ("queued", None)
            assert "was tried again by bob at 2026-03-02 08:00:00 UTC" in refused.message
            assert made[0] == ("bob", "retry-now", run.id)
            ada.cancel(run.id)


def test_a_running_run_is_asked_to_stop_by_one(queue, ledger, ada, bob):
    for _ in range(ROUNDS):
        run = queue("a = 1")
        runner = PlayedRunner(ledger, run.id)
        runner.begin()
        before = len(records(ada, "cancel"))
        answers = at_once(lambda run=run: ada.cancel(run.id), lambda run=run: bob.cancel(run.id))
        (won,), (refused,) = parted(answers)
        winner = "ada" if won is answers[0] else "bob"
        assert f"was asked to stop already, by {winner} at" in refused.message
        made = records(ada, "cancel")
        assert (len(made), made[0]) == (before + 1, (winner, "cancel", run.id))
        assert runner.port.heartbeat().command == "cancel"
        runner.succeed()
        assert ada.show(run.id).run.state == "cancelled", "a cancel that was granted holds"


def test_a_run_that_ends_just_then_has_ended_or_is_cancelled(queue, ledger, ada):
    for _ in range(ROUNDS):
        run = queue("a = 1")
        runner = PlayedRunner(ledger, run.id)
        runner.begin()
        runner.execute(0)
        before = len(records(ada, "cancel"))
        _, cancelled = at_once(runner.succeed, lambda run=run: ada.cancel(run.id))
        state = ada.show(run.id).run.state
        if isinstance(cancelled, Conflict):
            assert "has already ended: succeeded" in cancelled.message
            assert state == "succeeded"
            assert len(records(ada, "cancel")) == before
        else:
            assert state == "cancelled"
            assert len(records(ada, "cancel")) == before + 1


def test_a_dispatcher_that_starts_a_run_just_then_loses_or_has_it_stopped(queue, ledger, ada):
    for _ in range(ROUNDS):
        run = queue("a = 1")
        started, _ = at_once(
            lambda run=run: ledger.open_attempt(run.id, "local"), lambda run=run: ada.cancel(run.id)
        )
        assert ada.show(run.id).run.state == "cancelled"
        if not isinstance(started, Conflict):
            with pytest.raises(Fenced):
                ledger.runner(*started).claim()


def test_asking_again_changes_nothing(queue, ledger, ada):
    run = queue("a = 1")
    PlayedRunner(ledger, run.id).begin()
    first = ada.cancel(run.id)
    assert ada.cancel(run.id) == first
    assert len(records(ada, "cancel")) == 1


def test_cells_that_went_on_meanwhile_refuse_no_cancel(queue, ledger, ada):
    run = queue("a = 1", "b = 1")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    seen = SeenRun(revision=ada.show(run.id).run.revision)
    runner.execute(0)
    assert ada.cancel(run.id, seen).cancel_requested


def test_who_presses_a_button_of_an_old_page_is_told_what_happened(queue, ledger, ada, bob):
    run = queue("a = 1")
    seen = SeenRun(revision=run.revision)
    PlayedRunner(ledger, run.id).begin()
    with pytest.raises(Conflict, match="changed meanwhile: it is running"):
        ada.cancel(run.id, seen)
    seen = SeenRun(revision=ada.show(run.id).run.revision)
    bob.cancel(run.id)
    with pytest.raises(Conflict, match="changed meanwhile: it was cancelled by bob at"):
        ada.cancel(run.id, seen)


def test_a_run_that_is_suspended_cancelled_and_ends_at_once_comes_to_one_end(queue, ledger, ada):
    actor = Actor("ada", frozenset({"custom:respawn:run!user=ada"}))
    for _ in range(ROUNDS):
        run = queue("a = 1")
        runner = PlayedRunner(ledger, run.id)
        runner.begin()
        at_once(
            lambda run=run: ledger.suspend(actor, run.id, "approval"),
            lambda run=run: ada.cancel(run.id),
            runner.succeed,
        )
        shown = ada.show(run.id)
        came = (shown.run.state.value, shown.attempts[0].state.value)
        assert came in {
            ("cancelled", "suspended"), ("cancelled", "succeeded"), ("succeeded", "succeeded"),
        }  # fmt: skip
        assert shown.run.finished_at is not None
        assert len(shown.attempts) == 1


def test_a_suspended_run_that_is_released_twice_and_cancelled_at_once_is_queued_or_cancelled(
    queue, ledger, ada
):
    actor = Actor("ada", frozenset({"custom:respawn:run!user=ada"}))
    for _ in range(ROUNDS):
        run = queue("a = 1")
        PlayedRunner(ledger, run.id).begin()
        ledger.suspend(actor, run.id, "approval")
        released, again, cancelled = at_once(
            lambda run=run: ledger.release(actor, run.id),
            lambda run=run: ledger.release(actor, run.id),
            lambda run=run: ada.cancel(run.id),
        )
        assert any(isinstance(answer, Conflict) for answer in (released, again))
        assert ada.show(run.id).run.state == "cancelled"
        assert not isinstance(cancelled, Conflict), "a queued run and a suspended one can be cancelled"
