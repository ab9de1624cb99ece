"""What no database can store is refused in words, whichever database it is."""

from __future__ import annotations

from datetime import datetime

import pytest

from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.model.runs import CellState
from support.notebooks import notebook, text
from support.runners import PlayedRunner

BAD = ("a\0b", "a\ud800b")


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_stored_is_refused(ada, ledger, queue, bad):
    queue()
    document = text(notebook("1"))
    for call in (
        lambda: ada.job(bad),
        lambda: ada.versions(f"user/ada/{bad}"),
        lambda: ada.jobs(f"user/{bad}"),
        lambda: ada.runs(job=bad),
        lambda: ada.show(bad),
        lambda: ada.cancel(bad),
        lambda: ada.resume(bad, ResumeRequest()),
        lambda: ada.pause(bad, paused=True),
        lambda: ada.unschedule(bad),
        lambda: ledger.revision(bad),
        lambda: ledger.runner(bad, "token").claim(),
        lambda: ada.promote(Promotion(name="x", namespace=f"user/{bad[:2]}", notebook=document)),
        lambda: ada.schedule(ScheduleRequest(job="report", cron="* * * * *", tz=bad[:2])),
    ):
        with pytest.raises(InvalidInput):
            call()


def test_a_directory_with_a_nul_is_refused(ada):
    with pytest.raises(InvalidInput, match="directory"):
        ada.promote(Promotion(name="x", notebook=text(notebook("1")), directory="/tmp/a\0b"))


def test_what_is_longer_than_its_column_is_refused(ada, queue):
    queue()
    document = text(notebook("1"))
    long_cron = ",".join(map(str, range(60))) * 2 + " * * * *"
    for call, what in (
        (lambda: ada.promote(Promotion(name="x" * 100, notebook=document)), "job name"),
        (lambda: ada.promote(Promotion(name="x", namespace="user/" + "x" * 260, notebook=document)), "265"),
        (lambda: ada.promote(Promotion(name="x", notebook=document, kernel="k" * 300)), "kernel has 300"),
        (lambda: ada.schedule(ScheduleRequest(job="report", cron=long_cron, tz="UTC")), "cron expression"),
        (lambda: ada.schedule(ScheduleRequest(job="report", cron="* * * * *", tz="x" * 99)), "time zone"),
    ):
        with pytest.raises(InvalidInput, match=what):
            call()


@pytest.mark.parametrize("number", [0, -1, 2**63])
def test_a_version_number_that_cannot_be_is_not_found(ada, queue, number):
    queue()
    with pytest.raises(NotFound):
        ada.run(RunRequest(job="report", version=number))


def test_a_limit_of_any_size_is_taken(ada, queue):
    queue()
    assert len(ada.runs(limit=2**70)) == 1


def test_a_time_without_a_zone_is_refused(ada):
    with pytest.raises(InvalidInput, match="time zone"):
        ada.runs(before=datetime(2026, 1, 1))


def test_a_note_that_cannot_be_stored_is_fixed_and_ends_no_run(ada, queue, ledger):
    run = queue()
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.port.record([runner.event(0, CellState.EXECUTED, note="no checkpoint: a\0b\ud800")])
    assert (
        ada.show(run.id).cells[0].note
        == "no checkpoint: a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    )
