"""What a namespace may store and let wait is bounded; what would pass a quota is refused, with the fix."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from respawn_hub.startup.settings import Settings
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest, Service
from respawn_jobs.errors import QuotaExceeded
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.context.quotas import Quotas
from respawn_jobs.model.runs import RunState
from respawn_kernels.digest import digest_of
from support.bench import opened
from support.clocks import MovedClock
from support.executors import NoPlaces
from support.lonely import TOKEN, answering_hub
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.service import whole_service

pytestmark = pytest.mark.integration
MEBIBYTE = 1 << 20
SOURCE = text(notebook("1"))


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: MovedClock) -> Iterator[Ledger]:
    ledger = Ledger.embedded(tmp_path, clock=clock)
    yield ledger
    ledger.close()


@pytest.fixture
def ada(ledger: Ledger) -> Service:
    service = ledger.as_actor(Actor.owner("ada"))
    service.promote(Promotion(name="report", notebook=SOURCE))
    return service


def stored(ledger: Ledger) -> dict[str, int]:
    return ledger.operations().figures().stored


def test_bytes_are_counted_once_for_each_namespace_and_refused_over_the_quota(
    ledger: Ledger, ada: Service, clock: MovedClock
) -> None:
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    ledger.set_quotas(Quotas(stored_bytes=10 * MEBIBYTE))
    before = stored(ledger)["user/ada"]
    blob = os.urandom(4 * MEBIBYTE)
    for _ in range(3):  # the same bytes again take no room
        runner.port.put_blob(digest_of(blob), blob)
    assert stored(ledger)["user/ada"] == before + len(blob)
    more = [os.urandom(4 * MEBIBYTE) for _ in range(2)]
    runner.port.put_blob(digest_of(more[0]), more[0])
    with pytest.raises(QuotaExceeded) as refused:
        runner.port.put_blob(digest_of(more[1]), more[1])
    assert "user/ada stores 8 MiB of the 10 MiB" in refused.value.message
    assert "RESPAWN_QUOTA_STORED" in refused.value.message
    assert runner.port.missing([digest_of(more[1])]) == [digest_of(more[1])]
    clock.forward(seconds=11)
    with pytest.raises(QuotaExceeded):  # counted anew, with the same end
        runner.port.put_blob(digest_of(more[1]), more[1])
    bob = ledger.as_actor(Actor.owner("bob"))
    bob.promote(Promotion(name="report", notebook=SOURCE))  # it is ada's quota that is full


def test_a_full_namespace_takes_no_notebook_and_its_runs_record_how_they_end(
    ledger: Ledger, ada: Service
) -> None:
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    used = stored(ledger)["user/ada"]
    ledger.set_quotas(Quotas(stored_bytes=used + 20_000))
    with pytest.raises(QuotaExceeded):
        ada.promote(Promotion(name="other", notebook=text(notebook(f"'{'x' * 100_000}'"))))
    assert [job.name for job in ada.jobs()] == ["report"]
    runner.begin()
    runner.put("a small output")


@pytest.mark.parametrize(("most", "words"), [(1, "1 run of user/ada waits"), (4, "4 runs of user/ada wait")])
def test_waiting_runs_are_refused_over_the_quota_and_due_ones_say_so(
    ledger: Ledger, ada: Service, clock: MovedClock, most: int, words: str
) -> None:
    ledger.set_quotas(Quotas(waiting_runs=most))
    ada.schedule(ScheduleRequest(job="report", cron="* * * * *", tz="UTC"))
    for _ in range(most):
        ada.run(RunRequest(job="report"))
    with pytest.raises(QuotaExceeded, match=f"{words} already"):
        ada.run(RunRequest(job="report"))
    clock.forward(seconds=61)
    (due,) = ledger.queue_due()
    run = ada.show(due).run
    assert run.state is RunState.FAILED
    assert "RESPAWN_QUOTA_WAITING_RUNS" in str(run.error)
    assert ledger.operations().figures().waiting == {"user/ada": most}
    with pytest.raises(QuotaExceeded):
        ada.restart(due, ResumeRequest())


def test_a_run_whose_checkpoints_find_no_room_goes_on_and_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        run = bench.queue("import os", "data = os.urandom(5_000_000)", "print(len(data))", "1/0")
        used = stored(bench.ledger)["user/ada"]
        bench.ledger.set_quotas(Quotas(stored_bytes=used + 2 * MEBIBYTE))
        detail = bench.execute(run)
        assert detail.run.error.name == "ZeroDivisionError"
        assert bench.printed(run, 2) == "5000000\n"
        told = " ".join(cell.note or "" for cell in detail.cells)
        assert "user/ada stores" in told


@pytest.mark.long
def test_the_service_answers_403_and_tells_both_figures(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, quota_stored=1 << 20, quota_waiting_runs=1, metrics_open=True)
    with answering_hub() as hub, whole_service(settings, hub_port=hub, executor=NoPlaces()) as url:
        ada = httpx.Client(headers={"Authorization": f"token {TOKEN}"}, timeout=30)
        with ada:
            ada.post(f"{url}/api/v1/versions", json={"name": "report", "notebook": SOURCE}).raise_for_status()
            large = text(notebook(f"'{'x' * 2_000_000}'"))
            over = ada.post(f"{url}/api/v1/versions", json={"name": "other", "notebook": large})
            ada.post(f"{url}/api/v1/runs", json={"job": "report"}).raise_for_status()
            second = ada.post(f"{url}/api/v1/runs", json={"job": "report"})
            figures = ada.get(f"{url}/metrics").text
    for refused, quota in ((over, "stored"), (second, "waiting")):
        assert refused.status_code == 403
        assert refused.json()["error"] == "quota_exceeded"
        assert refused.json()["fields"]["quota"] == quota
    assert 'respawn_waiting_runs{namespace="user/ada"} 1.0' in figures
    assert f'respawn_stored_bytes{{namespace="user/ada"}} {float(len(SOURCE))}' in figures
