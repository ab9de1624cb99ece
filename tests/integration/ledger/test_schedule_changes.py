"""Schedules are changed without losing or doubling a run, and a job has each only once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from respawn_jobs.api.service import Promotion, ScheduleRequest
from respawn_jobs.api.versions import ScheduleChange
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput
from respawn_jobs.store.tables import ScheduleRow
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_people_who_add_the_same_at_once_add_one",
    "test_what_was_due_just_before_a_change_makes_its_run",
}


@pytest.fixture
def report(ada):
    ada.promote(Promotion(name="report", notebook=text(notebook("a = rows", parameters="rows = 5"))))


def nightly(**more):
    return ScheduleRequest(**{"job": "report", "cron": "30 3 * * 1-5", "tz": "UTC", **more})


@pytest.mark.parametrize("cron", ["30 3 * * 1-5", " 30  3 * * 1-5", "30 3 * * MON-FRI", "30 3 * * 5,4,3,2,1"])
def test_the_same_schedule_twice_is_refused_naming_the_first(report, ada, cron):
    first = ada.schedule(nightly())
    with pytest.raises(Conflict, match=f"{first.id}.*two runs") as no:
        ada.schedule(nightly(cron=cron))
    assert no.value.fields["schedule"] == first.id
    assert len(ada.job("report").schedules) == 1


@pytest.mark.parametrize(
    "other", [{"tz": "Europe/Berlin"}, {"cron": "31 3 * * 1-5"}, {"parameters": {"rows": 7}}]
)
def test_another_zone_time_or_parameter_is_another_schedule(report, ada, other):
    ada.schedule(nightly())
    ada.schedule(nightly(**other))
    assert len(ada.job("report").schedules) == 2


def test_people_who_add_the_same_at_once_add_one(report, ada):
    def add(_):
        try:
            return ada.schedule(nightly()).id
        except Conflict:
            return None

    with ThreadPoolExecutor(4) as pool:
        made = [one for one in pool.map(add, range(4)) if one]
    assert len(made) == len(ada.job("report").schedules) == 1


def test_a_change_makes_nothing_for_times_before_it(report, ada, ledger, clock):
    schedule = ada.schedule(nightly(cron="0 0 1 1 *"))
    changed = ada.change_schedule(schedule.id, ScheduleChange(cron="0 * * * *", tz="Europe/Berlin"))
    assert (changed.cron, changed.tz) == ("0 * * * *", "Europe/Berlin")
    assert changed.next_due > clock()
    assert ledger.queue_due() == []
    clock.forward(hours=1)
    assert len(ledger.queue_due()) == 1
    assert "change_schedule" in [record.action for record in ada.audit()]


def test_what_was_due_just_before_a_change_makes_its_run(report, ada, ledger, clock):
    schedule = ada.schedule(nightly(cron="* * * * *"))
    clock.forward(seconds=60)
    ada.change_schedule(schedule.id, ScheduleChange(cron="0 0 1 1 *"))
    (run,) = ada.runs()
    assert run.schedule == schedule.id
    clock.forward(seconds=120)
    assert ledger.queue_due() == []


def test_a_change_into_another_of_the_job_is_refused(report, ada):
    first, second = ada.schedule(nightly()), ada.schedule(nightly(cron="0 5 * * *"))
    with pytest.raises(Conflict, match=first.id):
        ada.change_schedule(second.id, ScheduleChange(cron="30 3 * * 1-5"))
    assert ada.change_schedule(first.id, ScheduleChange(cron="30 3 * * MON-FRI")).cron == "30 3 * * MON-FRI"


def test_what_cannot_be_used_changes_nothing(report, ada, bob):
    schedule = ada.schedule(nightly())
    for wrong in ({"cron": "every day"}, {"tz": "Mars"}, {"parameters": {"rows": "many"}}):
        with pytest.raises(InvalidInput):
            ada.change_schedule(schedule.id, ScheduleChange(**wrong))
    with pytest.raises(Forbidden):
        bob.change_schedule(schedule.id, ScheduleChange(cron="0 5 * * *"))
    assert ada.job("report").schedules == [schedule]


def test_a_schedule_of_a_zone_that_is_gone_is_fixed_by_a_change(report, ada, ledger, clock):
    from respawn_jobs.store.tables import ScheduleRow

    schedule = ada.schedule(nightly(cron="* * * * *"))
    with ledger.database.session(write=True) as session:
        session.get_one(ScheduleRow, schedule.id).tz = "Europe/Gone"
    clock.forward(seconds=60)
    assert ada.change_schedule(schedule.id, ScheduleChange(tz="UTC")).next_due > datetime(
        2026, 1, 1, tzinfo=UTC
    )


def test_parameters_that_are_kept_need_not_be_given_again(ada, ledger):
    declared = 'rows = 5\npassword = "default-of-it"'
    ada.promote(Promotion(name="report", notebook=text(notebook("a = rows", parameters=declared))))
    made = ada.schedule(nightly(parameters={"rows": 6, "password": "tr0ub4dor"}))
    assert made.parameters["password"] != "tr0ub4dor"
    ada.change_schedule(made.id, ScheduleChange(parameters={"rows": 7}, keep=["password", "unknown"]))
    with ledger.context.database.session() as session:
        assert session.get_one(ScheduleRow, made.id).parameters == {"rows": 7, "password": "tr0ub4dor"}
    ada.change_schedule(made.id, ScheduleChange(parameters={"rows": 8}))
    assert ada.job("report").schedules[0].parameters == {"rows": 8}
    ada.change_schedule(made.id, ScheduleChange(keep=["rows"]))
    assert ada.job("report").schedules[0].parameters == {"rows": 8}
