"""Schedules and backfills with several replicas, and with one that dies in between, on both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest

from respawn_jobs.api.backfills import BackfillRequest
from respawn_jobs.api.service import Promotion, ScheduleRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.triggers import trigger_run
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
BOTH_DATABASES = True


@pytest.fixture
def report(ada):
    return ada.promote(Promotion(name="report", notebook=text(notebook("a = rows", parameters="rows = 1"))))


@pytest.fixture
def replicas(ledger, store_url, tmp_path, clock):
    found = [Ledger.embedded(tmp_path / "data", db_url=store_url, clock=clock) for _ in range(3)]
    yield found
    for replica in found:
        replica.close()


def all_at_once(replicas, call):
    """Let each replica make a call at the same moment, three times."""
    barrier = threading.Barrier(len(replicas))

    def work(replica):
        for _ in range(3):
            barrier.wait(60)
            call(replica)

    with ThreadPoolExecutor(len(replicas)) as pool:
        list(pool.map(work, replicas))


def days(first, last, **more):
    given = {"job": "report", "start": date(2026, 2, first), "end": date(2026, 2, last), "every": "day"}
    return BackfillRequest(**{**given, **more})


def test_replicas_that_race_make_one_run_for_each_missed_time(report, ada, replicas, clock):
    zones = ("UTC", "Europe/Berlin", "Asia/Tokyo")
    wanted = [ScheduleRequest(job="report", cron="*/10 * * * *", tz=zone, missed="all") for zone in zones]
    made = {ada.schedule(request).id for request in wanted}
    clock.forward(hours=1)
    all_at_once(replicas, Ledger.queue_due)
    replicas[0].queue_due()
    times = [datetime(2026, 3, 2, 8, tzinfo=UTC) + timedelta(minutes=10 * n) for n in range(1, 7)]
    found = sorted((run.schedule, run.due_at) for run in ada.runs())
    assert found == sorted((schedule, at) for schedule in made for at in times)


def test_replicas_that_race_make_each_run_once(report, ada, ledger, replicas):
    backfill = ada.backfill(days(1, 20, parallel=4))
    all_at_once(replicas, Ledger.fill_backfills)
    ledger.fill_backfills()
    told = ada.show_backfill(backfill.id)
    assert (told.made, told.queued) == (4, 4)
    logical = [run.logical_date.day for run in ada.runs()]
    assert sorted(logical) == [1, 2, 3, 4]


def test_a_replica_that_dies_in_between_leaves_nothing_half_made(report, ada, ledger, monkeypatch, caplog):
    backfill = ada.backfill(days(1, 5, parallel=3))
    other = ada.backfill(BackfillRequest(job="report", sets=[{"rows": 2}]))
    queue, calls = trigger_run.queue, []

    def dying(context, session, job, event):
        calls.append(event.idempotency_key)
        if event.trigger_id == backfill.id and len(calls) == 2:
            raise RuntimeError("killed here")
        return queue(context, session, job, event)

    with monkeypatch.context() as patch:
        patch.setattr(trigger_run, "queue", dying)
        (made,) = ledger.fill_backfills()
    assert ada.show(made).run.trigger_id == other.id  # one that makes trouble holds up no other
    assert backfill.id in caplog.text
    assert ada.show_backfill(backfill.id).made == 0
    assert len(ledger.fill_backfills()) == 3
    assert {run.logical_date.day for run in ada.runs() if run.trigger_id == backfill.id} == {1, 2, 3}
