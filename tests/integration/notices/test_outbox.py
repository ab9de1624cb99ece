"""Each ended run is told once, failures of a job are collected, and what is refused is tried again."""

from __future__ import annotations

import threading

import pytest

from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.models import JobSettings
from respawn_jobs.notices import Message
from respawn_jobs.service import Promotion, RunRequest
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.telling import Told


def test_the_first_failure_is_told_at_once_with_cell_error_and_times(told_here: Told) -> None:
    told_here.promote()
    run = told_here.fails()
    message = told_here.loops.claim()
    assert message is not None
    assert (message.channel, message.kind, message.job) == ("oncall", "failure", "user/ada/report")
    item = message.items[0]
    assert (item.run, item.state, item.cell, item.title) == (run.id, "failed", 1, "# look")
    assert item.error == "KeyError: 'price'"
    assert item.attempts == 1
    assert item.ended == told_here.clock.now


def test_further_failures_within_the_window_become_one_message(told: Told) -> None:
    told.promote()
    told.fails()
    assert told.sends() == [("failure", 1)]
    for _ in range(3):
        told.clock.forward(minutes=1)
        told.fails()
    assert told.sends() == []
    told.clock.forward(minutes=7)
    assert told.sends() == [("failure", 3)]
    told.clock.forward(minutes=11)
    told.fails()
    assert told.sends() == [("failure", 1)]


def test_jobs_and_channels_are_collected_apart(told_here: Told) -> None:
    told_here.promote("one")
    told_here.promote("two", notify=["oncall", "other"])
    told_here.fails("one")
    told_here.fails("two")
    assert told_here.sends() == [("failure", 1)] * 3


def test_the_first_success_after_a_failure_is_told_and_no_further_one(told: Told) -> None:
    told.promote()
    told.succeeds()
    assert told.sends() == []
    told.fails()
    told.sends()
    told.succeeds()
    told.succeeds()
    assert told.sends() == [("recovery", 1)]


def test_a_recovery_is_not_told_before_the_failures_that_are_collected(told_here: Told) -> None:
    told_here.promote()
    told_here.fails()
    told_here.sends()
    told_here.fails()
    told_here.succeeds()
    assert told_here.sends() == []
    told_here.clock.forward(minutes=10)
    assert told_here.sends() == [("failure", 1), ("recovery", 1)]


def test_a_recovery_is_told_once_although_its_run_is_removed(told_here: Told) -> None:
    told_here.promote(keep_runs=1)
    failed = told_here.fails()
    told_here.ada.pin(failed.id, pinned=True)
    told_here.sends()
    told_here.succeeds()
    assert told_here.sends() == [("recovery", 1)]
    for _ in range(3):
        told_here.clock.forward(minutes=1)
        told_here.ledger.follow_ends()
        told_here.ledger.remove_old_runs()
        told_here.succeeds()
        assert told_here.sends() == []
    assert len(told_here.ada.runs(job="report")) == 3


def test_a_run_that_is_tried_again_or_cancelled_is_not_told(told_here: Told) -> None:
    told_here.promote(max_attempts=2)
    told_here.fails()
    assert told_here.sends() == []
    cancelled = told_here.ada.run(RunRequest(job="report"))
    told_here.ada.cancel(cancelled.id)
    told_here.loops.collect()
    assert told_here.sends() == []
    assert ("run", "cancelled") in told_here.counts.seen


def test_failures_of_a_backfill_are_collected_from_the_first_on(told_here: Told) -> None:
    from sqlalchemy import update

    from respawn_jobs.store.tables import RunRow

    told_here.promote()
    run = told_here.ada.run(RunRequest(job="report"))
    with told_here.ledger.database.session(write=True) as session:
        session.execute(update(RunRow).where(RunRow.id == run.id).values(trigger="backfill"))
    PlayedRunner(told_here.ledger, run.id).fail(1)
    told_here.loops.collect()
    assert told_here.sends() == []
    told_here.clock.forward(minutes=10)
    assert told_here.sends() == [("failure", 1)]


def test_what_ended_more_than_a_day_ago_is_told_to_nobody(told_here: Told) -> None:
    told_here.promote()
    run = told_here.ada.run(RunRequest(job="report"))
    PlayedRunner(told_here.ledger, run.id).fail(1)
    told_here.clock.forward(hours=25)
    assert told_here.loops.collect() == [run.id]
    assert told_here.sends() == []


def test_a_refused_message_is_tried_again_after_growing_pauses_for_a_day(told_here: Told) -> None:
    told_here.promote()
    told_here.fails()
    for pause in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        message = told_here.loops.claim()
        assert message is not None
        told_here.loops.refused(message, "no")
        told_here.clock.forward(seconds=pause - 1)
        assert told_here.loops.claim() is None
        told_here.clock.forward(seconds=1)
    told_here.clock.forward(hours=24)
    assert told_here.loops.claim() is None


def test_why_a_channel_failed_is_kept_without_secrets_until_it_works_again(told_here: Told) -> None:
    told_here.promote()
    told_here.fails()
    message = told_here.loops.claim()
    assert message is not None
    told_here.loops.refused(message, "https://u:hunter2@host said no", delivered=[0])
    assert told_here.loops.figures().failing_channels == {"oncall": "https://[secret]@host said no"}
    told_here.clock.forward(minutes=1)
    again = told_here.loops.claim()
    assert again is not None
    assert (again.tries, again.delivered) == (1, frozenset({0}))
    told_here.loops.sent(again)
    assert told_here.loops.figures().failing_channels == {}
    assert [seen for seen in told_here.counts.seen if seen[0] == "notice"] == [
        ("notice", "failure", False),
        ("notice", "failure", True),
    ]


def test_a_channel_that_is_down_does_not_hold_up_another(told_here: Told) -> None:
    told_here.promote("one", notify=["oncall"])
    told_here.promote("two", notify=["other"])
    told_here.fails("one")
    message = told_here.loops.claim()
    assert message is not None
    told_here.loops.refused(message, "down")
    told_here.clock.forward(minutes=1)
    told_here.fails("two")
    first = told_here.loops.claim()
    assert first is not None
    assert first.channel == "other"


def test_what_a_dead_replica_had_claimed_is_sent_by_another(told: Told) -> None:
    told.promote()
    told.fails()
    assert told.loops.claim() is not None
    assert told.loops.claim() is None
    told.clock.forward(minutes=5)
    assert told.loops.claim() is not None


def test_a_claim_leaves_busy_channels_alone(told_here: Told) -> None:
    told_here.promote()
    told_here.fails()
    assert told_here.loops.claim({"oncall"}) is None
    assert told_here.loops.claim({"other"}) is not None


def test_replicas_that_race_write_and_claim_each_notice_once(told: Told) -> None:
    told.promote("one")
    told.promote("two", notify=["oncall", "other"])
    for name in ("one", "two") * 4:
        run = told.ada.run(RunRequest(job=name))
        PlayedRunner(told.ledger, run.id).fail(1)
    claimed: list[Message] = []
    together = threading.Barrier(4)

    def replica() -> None:
        loops = told.ledger.operations()
        together.wait()
        while loops.collect():
            pass
        while (message := loops.claim()) is not None:
            loops.sent(message)
            claimed.append(message)

    threads = [threading.Thread(target=replica) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.clock.forward(minutes=10)
    while (late := told.loops.claim()) is not None:
        told.loops.sent(late)
        claimed.append(late)
    ids = [number for message in claimed for number in message.ids]
    assert len(ids) == 12
    assert len(set(ids)) == 12


def test_one_run_that_makes_trouble_holds_up_no_other(
    told_here: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    from respawn_jobs.ledger import notices

    told_here.promote("bad")
    told_here.promote("good")
    runs = [told_here.ada.run(RunRequest(job=name)) for name in ("bad", "good")]
    for run in runs:
        PlayedRunner(told_here.ledger, run.id).fail(1)
    described = notices.described

    def broken(context, session, run, tz):
        if run.id == runs[0].id:
            raise KeyError("spoilt")
        return described(context, session, run, tz)

    with monkeypatch.context() as patch:
        patch.setattr(notices, "described", broken)
        assert told_here.loops.collect(), "the good one"
    assert told_here.sends() == [("failure", 1)]
    told_here.loops.collect()
    assert told_here.sends() == [("failure", 1)]


def test_an_unknown_channel_is_refused_when_it_is_set_and_nothing_changes(told_here: Told) -> None:
    with pytest.raises(InvalidInput, match="'nobody' is not defined"):
        told_here.promote(notify=["nobody"])
    assert told_here.ada.jobs() == []


def test_a_store_without_a_service_says_that_nobody_would_be_told(tmp_path) -> None:
    from respawn_jobs.access import Actor

    ledger = Ledger.embedded(tmp_path / "data")
    wish = Promotion(name="x", notebook=text(notebook("a = 1")), settings=JobSettings(notify=["oncall"]))
    with pytest.raises(InvalidInput, match="no service that could tell anybody"):
        ledger.as_actor(Actor.owner("ada")).promote(wish)
    ledger.close()
