"""Each ended run makes one notice, failures of a job are collected, and what is refused is tried again."""

from __future__ import annotations

import threading

import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.notices import Message
from respawn_jobs.model.settings import JobSettings
from support.notebooks import notebook, text
from support.notifying import NotifyingLedger
from support.runners import PlayedRunner


def test_the_first_failure_is_told_at_once_with_cell_error_and_times(
    notifying_on_sqlite: NotifyingLedger,
) -> None:
    notifying_on_sqlite.promote()
    run = notifying_on_sqlite.fails()
    message = notifying_on_sqlite.loops.claim()
    assert message is not None
    assert (message.channel, message.kind, message.job) == ("oncall", "failure", "user/ada/report")
    item = message.items[0]
    assert (item.run, item.state, item.cell, item.title) == (run.id, "failed", 1, "# look")
    assert item.error == "KeyError: 'price'"
    assert item.attempts == 1
    assert item.ended == notifying_on_sqlite.clock.now


def test_further_failures_within_the_window_become_one_message(notifying: NotifyingLedger) -> None:
    notifying.promote()
    notifying.fails()
    assert notifying.sends() == [("failure", 1)]
    for _ in range(3):
        notifying.clock.forward(minutes=1)
        notifying.fails()
    assert notifying.sends() == []
    notifying.clock.forward(minutes=7)
    assert notifying.sends() == [("failure", 3)]
    notifying.clock.forward(minutes=11)
    notifying.fails()
    assert notifying.sends() == [("failure", 1)]


def test_jobs_and_channels_are_collected_apart(notifying_on_sqlite: NotifyingLedger) -> None:
    notifying_on_sqlite.promote("one")
    notifying_on_sqlite.promote("two", notify=["oncall", "other"])
    notifying_on_sqlite.fails("one")
    notifying_on_sqlite.fails("two")
    assert notifying_on_sqlite.sends() == [("failure", 1)] * 3


def test_the_first_success_after_a_failure_is_told_and_no_further_one(notifying: NotifyingLedger) -> None:
    notifying.promote()
    notifying.succeeds()
    assert notifying.sends() == []
    notifying.fails()
    notifying.sends()
    notifying.succeeds()
    notifying.succeeds()
    assert notifying.sends() == [("recovery", 1)]


def test_a_recovery_is_not_told_before_the_failures_that_are_collected(
    notifying_on_sqlite: NotifyingLedger,
) -> None:
    notifying_on_sqlite.promote()
    notifying_on_sqlite.fails()
    notifying_on_sqlite.sends()
    notifying_on_sqlite.fails()
    notifying_on_sqlite.succeeds()
    assert notifying_on_sqlite.sends() == []
    notifying_on_sqlite.clock.forward(minutes=10)
    assert notifying_on_sqlite.sends() == [("failure", 1), ("recovery", 1)]


def test_a_recovery_is_told_once_although_its_run_is_removed(notifying_on_sqlite: NotifyingLedger) -> None:
    notifying_on_sqlite.promote(keep_runs=1)
    failed = notifying_on_sqlite.fails()
    notifying_on_sqlite.ada.pin(failed.id, pinned=True)
    notifying_on_sqlite.sends()
    notifying_on_sqlite.succeeds()
    assert notifying_on_sqlite.sends() == [("recovery", 1)]
    for _ in range(3):
        notifying_on_sqlite.clock.forward(minutes=1)
        notifying_on_sqlite.ledger.trigger_downstream()
        notifying_on_sqlite.ledger.remove_old_runs()
        notifying_on_sqlite.succeeds()
        assert notifying_on_sqlite.sends() == []
    assert len(notifying_on_sqlite.ada.runs(job="report")) == 3


def test_a_run_that_is_tried_again_or_cancelled_is_not_told(notifying_on_sqlite: NotifyingLedger) -> None:
    notifying_on_sqlite.promote(max_attempts=2)
    notifying_on_sqlite.fails()
    assert notifying_on_sqlite.sends() == []
    cancelled = notifying_on_sqlite.ada.run(RunRequest(job="report"))
    notifying_on_sqlite.ada.cancel(cancelled.id)
    notifying_on_sqlite.loops.collect()
    assert notifying_on_sqlite.sends() == []
    assert ("run", "cancelled") in notifying_on_sqlite.counts.seen


def test_failures_of_a_backfill_are_collected_from_the_first_on(notifying_on_sqlite: NotifyingLedger) -> None:
    from sqlalchemy import update

    from respawn_jobs.store.tables import RunRow

    notifying_on_sqlite.promote()
    run = notifying_on_sqlite.ada.run(RunRequest(job="report"))
    with notifying_on_sqlite.ledger.database.session(write=True) as session:
        session.execute(update(RunRow).where(RunRow.id == run.id).values(trigger="backfill"))
    PlayedRunner(notifying_on_sqlite.ledger, run.id).fail(1)
    notifying_on_sqlite.loops.collect()
    assert notifying_on_sqlite.sends() == []
    notifying_on_sqlite.clock.forward(minutes=10)
    assert notifying_on_sqlite.sends() == [("failure", 1)]


def test_what_ended_more_than_a_day_ago_is_told_to_nobody(notifying_on_sqlite: NotifyingLedger) -> None:
    notifying_on_sqlite.promote()
    run = notifying_on_sqlite.ada.run(RunRequest(job="report"))
    PlayedRunner(notifying_on_sqlite.ledger, run.id).fail(1)
    notifying_on_sqlite.clock.forward(hours=25)
    assert notifying_on_sqlite.loops.collect() == [run.id]
    assert notifying_on_sqlite.sends() == []


def test_a_refused_message_is_tried_again_after_growing_pauses_for_a_day(
    notifying_on_sqlite: NotifyingLedger,
) -> None:
    notifying_on_sqlite.promote()
    notifying_on_sqlite.fails()
    for pause in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        message = notifying_on_sqlite.loops.claim()
        assert message is not None
        notifying_on_sqlite.loops.refused(message, "no")
        notifying_on_sqlite.clock.forward(seconds=pause - 1)
        assert notifying_on_sqlite.loops.claim() is None
        notifying_on_sqlite.clock.forward(seconds=1)
    notifying_on_sqlite.clock.forward(hours=24)
    assert notifying_on_sqlite.loops.claim() is None


def test_why_a_channel_failed_is_kept_without_secrets_until_it_works_again(
    notifying_on_sqlite: NotifyingLedger,
) -> None:
    notifying_on_sqlite.promote()
    notifying_on_sqlite.fails()
    message = notifying_on_sqlite.loops.claim()
    assert message is not None
    notifying_on_sqlite.loops.refused(message, "https://u:hunter2@host said no", delivered=[0])
    assert notifying_on_sqlite.loops.figures().failing_channels == {"oncall": "https://[secret]@host said no"}
    notifying_on_sqlite.clock.forward(minutes=1)
    again = notifying_on_sqlite.loops.claim()
    assert again is not None
    assert (again.tries, again.delivered) == (1, frozenset({0}))
    notifying_on_sqlite.loops.sent(again)
    assert notifying_on_sqlite.loops.figures().failing_channels == {}
    assert [seen for seen in notifying_on_sqlite.counts.seen if seen[0] == "notice"] == [
        ("notice", "failure", False),
        ("notice", "failure", True),
    ]


def test_a_channel_that_is_down_does_not_hold_up_another(notifying_on_sqlite: NotifyingLedger) -> None:
    notifying_on_sqlite.promote("one", notify=["oncall"])
    notifying_on_sqlite.promote("two", notify=["other"])
    notifying_on_sqlite.fails("one")
    message = notifying_on_sqlite.loops.claim()
    assert message is not None
    notifying_on_sqlite.loops.refused(message, "down")
    notifying_on_sqlite.clock.forward(minutes=1)
    notifying_on_sqlite.fails("two")
    first = notifying_on_sqlite.loops.claim()
    assert first is not None
    assert first.channel == "other"


def test_what_a_dead_replica_had_claimed_is_sent_by_another(notifying: NotifyingLedger) -> None:
    notifying.promote()
    notifying.fails()
    assert notifying.loops.claim() is not None
    assert notifying.loops.claim() is None
    notifying.clock.forward(minutes=5)
    assert notifying.loops.claim() is not None


def test_a_claim_leaves_busy_channels_alone(notifying_on_sqlite: NotifyingLedger) -> None:
    notifying_on_sqlite.promote()
    notifying_on_sqlite.fails()
    assert notifying_on_sqlite.loops.claim({"oncall"}) is None
    assert notifying_on_sqlite.loops.claim({"other"}) is not None


def test_replicas_that_race_write_and_claim_each_notice_once(notifying: NotifyingLedger) -> None:
    notifying.promote("one")
    notifying.promote("two", notify=["oncall", "other"])
    for name in ("one", "two") * 4:
        run = notifying.ada.run(RunRequest(job=name))
        PlayedRunner(notifying.ledger, run.id).fail(1)
    claimed: list[Message] = []
    together = threading.Barrier(4)

    def replica() -> None:
        loops = notifying.ledger.operations()
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
    notifying.clock.forward(minutes=10)
    while (late := notifying.loops.claim()) is not None:
        notifying.loops.sent(late)
        claimed.append(late)
    ids = [number for message in claimed for number in message.ids]
    assert len(ids) == 12
    assert len(set(ids)) == 12


def test_one_run_that_makes_trouble_holds_up_no_other(
    notifying_on_sqlite: NotifyingLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from respawn_jobs.ledger.notices import run_notices

    notifying_on_sqlite.promote("bad")
    notifying_on_sqlite.promote("good")
    runs = [notifying_on_sqlite.ada.run(RunRequest(job=name)) for name in ("bad", "good")]
    for run in runs:
        PlayedRunner(notifying_on_sqlite.ledger, run.id).fail(1)
    described = run_notices.described

    def broken(context, session, run, tz):
        if run.id == runs[0].id:
            raise KeyError("spoilt")
        return described(context, session, run, tz)

    with monkeypatch.context() as patch:
        patch.setattr(run_notices, "described", broken)
        assert notifying_on_sqlite.loops.collect(), "the good one"
    assert notifying_on_sqlite.sends() == [("failure", 1)]
    notifying_on_sqlite.loops.collect()
    assert notifying_on_sqlite.sends() == [("failure", 1)]


def test_an_unknown_channel_is_refused_when_it_is_set_and_nothing_changes(
    notifying_on_sqlite: NotifyingLedger,
) -> None:
    with pytest.raises(InvalidInput, match="'nobody' is not defined"):
        notifying_on_sqlite.promote(notify=["nobody"])
    assert notifying_on_sqlite.ada.jobs() == []


def test_a_store_without_a_service_says_that_nobody_would_be_told(tmp_path) -> None:
    from respawn_jobs.access import Actor

    ledger = Ledger.embedded(tmp_path / "data")
    wish = Promotion(name="x", notebook=text(notebook("a = 1")), settings=JobSettings(notify=["oncall"]))
    with pytest.raises(InvalidInput, match="no service that could tell anybody"):
        ledger.as_actor(Actor.owner("ada")).promote(wish)
    ledger.close()
