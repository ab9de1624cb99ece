from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.errors import Forbidden, InvalidInput, NotFound
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.triggers import scheduling
from respawn_jobs.store.tables import ScheduleRow
from support.notebooks import notebook, text
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_a_due_time_makes_one_run_and_the_schedule_moves_on",
    "test_many_schedulers_make_one_run_per_due_time",
    "test_a_clock_that_is_set_back_makes_no_second_run_and_stops_nothing",
    "test_a_schedule_with_unforeseen_trouble_holds_up_no_other_and_is_tried_again",
    "test_a_year_of_missed_minutes_is_made_up_in_bounded_transactions",
    "test_a_run_that_goes_on_or_starts_over_keeps_its_logical_date",
}


@pytest.fixture
def report(ada):
    return ada.promote(Promotion(name="report", notebook=text(notebook("a = rows", parameters="rows = 1"))))


def every_minute(**more):
    return ScheduleRequest(**{"job": "report", "cron": "* * * * *", "tz": "UTC", **more})


def test_a_due_time_makes_one_run_and_the_schedule_moves_on(report, ada, ledger, clock):
    schedule = ada.schedule(every_minute(parameters={"rows": 3}))
    assert schedule.next_due == datetime(2026, 3, 2, 8, 1, tzinfo=UTC) == ledger.next_due()
    assert ledger.queue_due() == []
    clock.forward(seconds=60)
    (run_id,) = ledger.queue_due()
    assert ledger.queue_due() == []
    run = ada.show(run_id).run
    assert (run.trigger, run.schedule, run.parameters, run.created_by) == (
        "schedule", schedule.id, {"rows": 3}, "ada",
    )  # fmt: skip
    assert run.due_at == schedule.next_due
    assert ledger.next_due() == datetime(2026, 3, 2, 8, 2, tzinfo=UTC)


def test_of_missed_times_only_the_latest_makes_a_run(report, ada, ledger, clock):
    ada.schedule(every_minute())
    clock.forward(hours=30, seconds=20)
    (run_id,) = ledger.queue_due()
    assert ada.show(run_id).run.due_at == datetime(2026, 3, 3, 14, 0, tzinfo=UTC)
    assert ledger.queue_due() == []


def test_many_schedulers_make_one_run_per_due_time(report, ada, ledger, clock, tmp_path, store_url):
    for zone in ("UTC", "Europe/Berlin", "Europe/Paris", "Europe/Rome", "Asia/Tokyo"):
        ada.schedule(every_minute(tz=zone))
    replicas = [Ledger.embedded(tmp_path / "data", db_url=store_url, clock=clock) for _ in range(4)]
    clock.forward(seconds=90)
    with ThreadPoolExecutor(4) as pool:
        queued = [run for runs in pool.map(Ledger.queue_due, replicas) for run in runs]
    for replica in replicas:
        replica.close()
    assert len(queued) == len(set(queued)) == 5
    assert len(ada.runs()) == 5


def test_a_clock_that_is_set_back_makes_no_second_run_and_stops_nothing(report, ada, ledger, clock):
    schedule = ada.schedule(every_minute())
    clock.forward(seconds=60)
    assert len(ledger.queue_due()) == 1
    clock.forward(seconds=-60)
    ada.pause(schedule.id, paused=True)
    ada.pause(schedule.id, paused=False)  # due again at the time that has made its run
    clock.forward(seconds=60)
    assert ledger.queue_due() == []
    clock.forward(seconds=60)
    assert len(ledger.queue_due()) == 1


def test_a_paused_schedule_makes_nothing_and_goes_on_from_now(report, ada, ledger, clock):
    schedule = ada.schedule(every_minute())
    assert ada.pause(schedule.id, paused=True).next_due is None
    assert ledger.next_due() is None
    clock.forward(hours=5)
    assert ledger.queue_due() == []
    assert ada.pause(schedule.id, paused=False).next_due == datetime(2026, 3, 2, 13, 1, tzinfo=UTC)
    assert ledger.queue_due() == []


def test_removing_a_schedule_keeps_its_runs(report, ada, ledger, clock):
    schedule = ada.schedule(every_minute())
    clock.forward(seconds=60)
    ledger.queue_due()
    ada.unschedule(schedule.id)
    clock.forward(seconds=60)
    assert ledger.queue_due() == []
    assert [run.schedule for run in ada.runs()] == [schedule.id]
    assert ada.job("report").schedules == []
    with pytest.raises(NotFound, match=schedule.id):
        ada.unschedule(schedule.id)


def test_a_bad_schedule_is_refused_and_nothing_is_kept(report, ada):
    for request, says in (
        (every_minute(cron="0 0 30 2 *"), "30 2"),
        (every_minute(tz="Mars"), "Mars"),
        (every_minute(parameters={"rows": "x"}), "expected int"),
        (every_minute(job="none"), "none"),
    ):
        with pytest.raises((InvalidInput, NotFound), match=says):
            ada.schedule(request)
    assert ada.job("report").schedules == []


def test_scheduling_someone_elses_job_is_refused(report, ada, bob):
    with pytest.raises(Forbidden):
        bob.schedule(every_minute(job="user/ada/report"))
    schedule = ada.schedule(every_minute())
    with pytest.raises(Forbidden, match=f"{schedule.id} belongs to user/ada; you are bob"):
        bob.pause(schedule.id, paused=True)


def test_a_due_run_whose_parameters_no_longer_fit_says_so(report, ada, ledger, clock):
    ada.schedule(every_minute(parameters={"rows": 3}))
    lines = text(notebook(parameters="lines = 1"))
    ada.promote(Promotion(name="report", notebook=lines, agreed=["break_triggers"]))
    clock.forward(seconds=60)
    (run_id,) = ledger.queue_due()
    run = ada.show(run_id).run
    assert (run.state, run.error.name) == ("failed", "InvalidInput")
    assert "unknown parameter 'rows'" in run.error.value
    assert ledger.queued(10) == []


def test_the_next_fires_are_shown_in_the_zone(ada):
    fires = ada.preview("0 9 * * 1-5", "Asia/Tokyo", 3)
    assert [fire.isoformat() for fire in fires] == [
        "2026-03-03T09:00:00+09:00", "2026-03-04T09:00:00+09:00", "2026-03-05T09:00:00+09:00",
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match="count"):
        ada.preview("* * * * *", "UTC", 100000)


def test_a_schedule_that_can_no_longer_be_read_is_paused_and_the_others_fire(report, ada, ledger, clock):
    gone, fine = ada.schedule(every_minute()), ada.schedule(every_minute(tz="Asia/Tokyo"))
    with ledger.database.session(write=True) as session:
        session.get_one(ScheduleRow, gone.id).tz = "Europe/Gone"
    clock.forward(seconds=60)
    assert [ada.show(run).run.schedule for run in ledger.queue_due()] == [fine.id]
    shown = {schedule.id: schedule for schedule in ada.job("report").schedules}
    assert (shown[gone.id].paused, shown[gone.id].next_due) == (True, None)
    assert not shown[fine.id].paused
    (record,) = [record for record in ada.audit() if record.action == "pause"]
    assert (record.actor, record.subject) == ("respawn:scheduler", gone.id)
    assert "Europe/Gone" in record.details["reason"]
    ledger.verify_audit()
    with pytest.raises(InvalidInput, match="Europe/Gone"):
        ada.pause(gone.id, paused=False)
    clock.forward(seconds=60)
    assert len(ledger.queue_due()) == 1


def test_a_schedule_with_unforeseen_trouble_holds_up_no_other_and_is_tried_again(
    report, ada, ledger, clock, monkeypatch, caplog
):
    first, second = ada.schedule(every_minute()), ada.schedule(every_minute(tz="Asia/Tokyo"))
    clock.forward(seconds=60)
    insert = scheduling._insert

    def broken(context, session, row, due_at):
        if row.id == first.id:
            raise RuntimeError("nobody thought of this")
        return insert(context, session, row, due_at)

    with monkeypatch.context() as patch:
        patch.setattr(scheduling, "_insert", broken)
        assert [ada.show(run).run.schedule for run in ledger.queue_due()] == [second.id]
    assert first.id in caplog.text
    assert [ada.show(run).run.schedule for run in ledger.queue_due()] == [first.id]


def test_all_missed_times_make_runs_oldest_first_up_to_a_cap(report, ada, ledger, clock):
    ada.schedule(every_minute(cron="0 * * * *", missed="all", max_missed=4))
    clock.forward(hours=30, seconds=20)
    times = [ada.show(run).run.due_at for run in ledger.queue_due()]
    assert times == [datetime(2026, 3, 3, hour, tzinfo=UTC) for hour in (11, 12, 13, 14)]
    assert ledger.queue_due() == []


def test_a_year_of_missed_minutes_is_made_up_in_bounded_transactions(report, ada, ledger, clock, monkeypatch):
    monkeypatch.setattr(scheduling, "_BATCH", 3)
    ada.schedule(every_minute(missed="all", max_missed=5))
    clock.forward(days=365)
    last = clock.now
    assert len(ledger.queue_due()) == 3
    assert ledger.next_due() == last - timedelta(minutes=1)
    assert len(ledger.queue_due()) == 2  # a service that was killed in between goes on there
    assert ledger.next_due() == last + timedelta(minutes=1)
    assert sorted(run.due_at for run in ada.runs()) == [last - timedelta(minutes=n) for n in (4, 3, 2, 1, 0)]


def test_a_skipped_time_makes_no_run_but_one_that_is_seconds_late_does(report, ada, ledger, clock):
    ada.schedule(every_minute(cron="0 * * * *", missed="skip"))
    clock.forward(hours=3, minutes=1)
    assert ledger.queue_due() == []
    assert ledger.next_due() == datetime(2026, 3, 2, 12, tzinfo=UTC)
    clock.forward(minutes=59, seconds=40)
    (run,) = ledger.queue_due()
    assert ada.show(run).run.due_at == datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_a_schedule_that_fires_more_often_than_once_a_minute_is_refused(report, ada):
    for cron in ("*/10 * * * * *", "@every 10s", "* * * * * * *"):
        with pytest.raises(InvalidInput, match="due once a minute at most"):
            ada.schedule(every_minute(cron=cron))
    with pytest.raises(InvalidInput, match=r"write '0 \* \* \* \*'"):
        ada.schedule(every_minute(cron="@hourly"))
    assert ada.job("report").schedules == []


def test_a_job_that_changed_in_between_runs_its_newest_version(report, ada, ledger, clock):
    ada.schedule(every_minute())
    ada.promote(Promotion(name="report", notebook=text(notebook("b = rows", parameters="rows = 2"))))
    clock.forward(seconds=60)
    (run_id,) = ledger.queue_due()
    assert ada.show(run_id).run.version == 2


DUE = "respawn_logical_date: str"


def test_a_notebook_that_declares_logical_date_is_given_the_due_time(report, ada, ledger, clock):
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1", parameters=DUE))))
    ada.schedule(every_minute(tz="Europe/Berlin"))
    clock.forward(seconds=90)
    (run_id,) = ledger.queue_due()
    assert ada.show(run_id).run.parameters == {"respawn_logical_date": "2026-03-02T08:01:00+00:00"}
    by_hand = ada.run(RunRequest(job="report"))
    assert by_hand.parameters == {"respawn_logical_date": "2026-03-02T08:01:30+00:00"}
    chosen = ada.run(RunRequest(job="report", parameters={"respawn_logical_date": "2025-12-31"}))
    assert chosen.parameters == {"respawn_logical_date": "2025-12-31"}


def test_a_run_that_goes_on_or_starts_over_keeps_its_logical_date(report, ada, ledger, clock):
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1", "b = 2", parameters=DUE))))
    ada.schedule(every_minute())
    clock.forward(seconds=60)
    (run_id,) = ledger.queue_due()
    runner = PlayedRunner(ledger, run_id)
    runner.begin()
    runner.fail(1)
    clock.forward(days=3)
    due = ada.show(run_id).run
    for again in (ada.restart, ada.resume):
        run = again(run_id, ResumeRequest())
        assert (run.parameters, run.logical_date) == (due.parameters, due.due_at)


def test_a_logical_date_that_cannot_hold_a_time_is_refused(report, ada):
    ada.promote(
        Promotion(name="report", notebook=text(notebook("a = 1", parameters="respawn_logical_date = 1")))
    )
    with pytest.raises(InvalidInput, match="'respawn_logical_date': expected int"):
        ada.schedule(every_minute())
