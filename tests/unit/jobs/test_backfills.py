"""Backfills: previewed, refused before anything is made, made in order and once, stopped."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.backfills import BackfillRequest
from respawn_jobs.api.service import Promotion, ScheduleRequest
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput, NotFound
from respawn_jobs.model.runs import RunState
from support.notebooks import notebook, text
from support.runners import PlayedRunner


@pytest.fixture
def report(ada):
    nb = notebook("a = rows", parameters="rows: int = 1\nrespawn_logical_date: str")
    return ada.promote(Promotion(name="report", notebook=text(nb)))


def days(first, last, **more):
    """A daily range within February 2026, whose 28 days are past."""
    given = {"job": "report", "start": date(2026, 2, first), "end": date(2026, 2, last), "every": "day"}
    return BackfillRequest(**{**given, **more})


def end_one(ledger, ada, succeed=True):
    """End the run that waits longest, and return it."""
    run = ledger.queued(1)[0]
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.succeed() if succeed else runner.fail(1)
    return ada.show(run.id).run


def test_a_range_makes_one_run_for_each_date_in_order(report, ada, ledger):
    backfill = ada.backfill(days(1, 3, parallel=1, parameters={"rows": 7}, tz="Europe/Berlin"))
    assert (backfill.state, backfill.total, backfill.made) == ("active", 3, 0)
    ended = []
    while ledger.fill_backfills():
        assert ledger.fill_backfills() == []  # one at a time
        ended.append(end_one(ledger, ada))
    assert [run.logical_date.isoformat() for run in ended] == [
        run.parameters["respawn_logical_date"] for run in ended
    ]
    assert [run.parameters for run in ended] == [
        {"rows": 7, "respawn_logical_date": f"2026-{day}T23:00:00+00:00"}
        for day in ("01-31", "02-01", "02-02")
    ]
    assert {(run.trigger, run.trigger_id, run.created_by) for run in ended} == {
        ("backfill", backfill.id, "ada")
    }
    done = ada.show_backfill(backfill.id)
    assert (done.state, done.made, done.succeeded, done.queued, done.running) == ("done", 3, 3, 0, 0)
    assert done.finished_at is not None


def test_no_more_runs_wait_or_run_at_once_than_is_wanted(report, ada, ledger):
    backfill = ada.backfill(days(1, 9, parallel=3))
    assert len(ledger.fill_backfills()) == 3
    PlayedRunner(ledger, ledger.queued(1)[0].id)
    assert ledger.fill_backfills() == []
    told = ada.show_backfill(backfill.id)
    assert (told.made, told.queued, told.running) == (3, 2, 1)
    end_one(ledger, ada, succeed=False)
    assert len(ledger.fill_backfills()) == 1
    assert ada.show_backfill(backfill.id).failed == 1


def test_the_due_times_are_those_of_the_job_s_only_schedule_with_its_parameters(report, ada, ledger):
    ada.schedule(ScheduleRequest(job="report", cron="30 3 * * 1-5", tz="Asia/Tokyo", parameters={"rows": 5}))
    seen = ada.preview_backfill(days(2, 8, every=None))
    assert seen.about == "2026-02-02 to 2026-02-08 by '30 3 * * 1-5' in Asia/Tokyo"
    assert [item.logical_date for item in seen.first] == [
        datetime(2026, 2, day, 18, 30, tzinfo=UTC) for day in (1, 2, 3)
    ]
    assert [item.number for item in seen.last] == [4, 5]
    assert (seen.total, seen.problems, seen.first[0].parameters) == (5, [], {"rows": 5})


def test_parameter_sets_make_one_run_each(report, ada, ledger):
    sets = [{"rows": rows} for rows in (10, 20, 30)]
    backfill = ada.backfill(BackfillRequest(job="report", sets=sets, parallel=5))
    assert backfill.about == "3 parameter sets"
    made = [ada.show(run).run.parameters["rows"] for run in ledger.fill_backfills()]
    assert made == [10, 20, 30]


def test_a_preview_makes_nothing(report, ada, ledger):
    seen = ada.preview_backfill(days(1, 28))
    assert (seen.total, [item.number for item in (*seen.first, *seen.last)]) == (28, [1, 2, 3, 26, 27, 28])
    assert ada.backfills() == []
    assert ledger.fill_backfills() == []


def test_times_that_are_still_to_come_are_left_out_and_that_is_said(report, ada):
    request = days(28, 28, end=date(2026, 3, 4))
    assert [item.logical_date.day for item in ada.preview_backfill(request).first] == [28, 1, 2]
    assert ada.preview_backfill(request).notes == ["times after 2026-03-02 08:00 UTC are left out"]


WRONG = [
    ({"start": date(1990, 1, 1), "every": None, "cron": "* * * * *"}, "more than 10,000 runs; 10,000 at"),
    ({"start": date(2026, 2, 9)}, "ends on 2026-02-03, before it begins on 2026-02-09"),
    ({"start": date(2027, 2, 1), "end": date(2027, 2, 2)}, "begins on 2027-02-01, which is still to come"),
    ({"every": None, "cron": "0 0 31 1 *"}, "nothing to run: 2026-02-01 to 2026-02-03 by '0 0 31 1"),
    ({"every": None, "cron": "0 0 30 2 *"}, "never fires"),
    ({"every": None, "cron": "* * * * * *"}, "seconds are not taken"),
    ({"tz": "Mars/Base"}, "not a time zone"),
    ({"cron": "0 3 * * *"}, "not both"),
    ({"every": None}, "report has no schedule"),
    ({"end": None}, "the first and the last date"),
    ({"start": date(1066, 1, 1)}, "1970 to 2199"),
    ({"sets": [{}]}, "not both"),
    ({"parameters": {"rows": "many"}}, "'rows': expected int"),
    ({"start": None, "end": None, "every": None, "sets": []}, "nothing to run"),
    (
        {"start": None, "end": None, "every": None, "sets": [{"rows": 1}, {"rows": "x"}, {"cols": 1}]},
        r"set 2: .*expected int.* \(and 1 more\)",
    ),
    ({"start": None, "end": None, "every": None, "sets": [{}] * 10_001}, "10,001 runs; 10,000 at most"),
    (
        {"start": None, "end": None, "every": None, "sets": [{"respawn_logical_date": "x" * 100_001}]},
        "set 1: parameter 'respawn_logical_date' has .* bytes",
    ),
    (
        {"start": None, "end": None, "every": None, "sets": [{"respawn_logical_date": "x" * 90_000}] * 60},
        "MiB as JSON",
    ),
]


def test_what_cannot_be_is_refused_before_anything_is_made(report, ada):
    for more, says in WRONG:
        request = days(1, 3, **more)
        with pytest.raises(InvalidInput, match=says):
            ada.backfill(request)
        assert ada.preview_backfill(request).problems
    assert ada.backfills() == []
    assert "backfill" not in [record.action for record in ada.audit()]


def test_somebody_else_s_job_is_refused(report, ada, bob, ledger):
    request = days(1, 3, job="user/ada/report")
    for call in (bob.backfill, bob.preview_backfill):
        with pytest.raises(Forbidden, match="belongs to user/ada"):
            call(request)
    backfill = ada.backfill(request)
    assert bob.backfills() == []
    for call in (bob.show_backfill, bob.stop_backfill):
        with pytest.raises(Forbidden, match=backfill.id):
            call(backfill.id)
    reader = ledger.as_actor(Actor("eve", frozenset({"custom:respawn:read!user=ada"})))
    assert [found.id for found in reader.backfills("user/ada/report")] == [backfill.id]
    with pytest.raises(Forbidden):
        reader.stop_backfill(backfill.id)
    with pytest.raises(NotFound, match="bfl-none"):
        ada.show_backfill("bfl-none")


def test_a_stopped_backfill_makes_no_more_and_its_runs_go_on(report, ada, ledger):
    backfill = ada.backfill(days(1, 9))
    ledger.fill_backfills()
    stopped = ada.stop_backfill(backfill.id)
    assert (stopped.state, stopped.made, stopped.queued) == ("stopped", 2, 2)
    end_one(ledger, ada)
    assert ledger.fill_backfills() == []
    assert {"backfill", "stop backfill"} <= {record.action for record in ada.audit()}


def test_stopping_can_cancel_the_runs_that_have_not_ended(report, ada, ledger):
    backfill = ada.backfill(days(1, 9))
    ledger.fill_backfills()
    running = PlayedRunner(ledger, ledger.queued(1)[0].id)
    stopped = ada.stop_backfill(backfill.id, cancel=True)
    assert (stopped.cancelled, stopped.running) == (1, 1)
    assert running.port.heartbeat().command == "cancel"


def test_a_backfill_that_is_done_cannot_be_stopped(report, ada, ledger):
    backfill = ada.backfill(days(1, 1))
    ledger.fill_backfills()
    end_one(ledger, ada)
    ledger.fill_backfills()
    with pytest.raises(Conflict, match="is done"):
        ada.stop_backfill(backfill.id)


def test_a_version_that_takes_other_parameters_makes_runs_that_say_so(report, ada, ledger):
    backfill = ada.backfill(days(1, 2, parameters={"rows": 3}))
    ada.promote(Promotion(name="report", notebook=text(notebook(parameters="lines = 1"))))
    first, second = (ada.show(run).run for run in ledger.fill_backfills())
    assert first.state is second.state is RunState.FAILED
    assert "unknown parameter 'rows'" in first.error.value
    ledger.fill_backfills()
    assert (ada.show_backfill(backfill.id).state, ada.show_backfill(backfill.id).failed) == ("done", 2)
