"""Runners are heard by another process than people: nothing that a person does costs a run its lease."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from respawn_hub.runners.server import RunnerServer
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest, Service
from respawn_jobs.errors import RespawnError
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.context.ports import Unobserved
from respawn_jobs.model.runs import RunState
from respawn_jobs.remote.client import RemoteRunner
from support.lonely import TOKEN, LonelyService, answering_hub, lonely_service, start_service
from support.notebooks import notebook, text
from support.pressure import unhindered
from support.runners import PlayedRunner
from support.waiting import meanwhile, wait_for

pytestmark = pytest.mark.integration
LEASE_SECONDS = 3.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(tmp_path, lease_seconds=LEASE_SECONDS)
    yield ledger
    ledger.close()


@pytest.fixture
def ada(ledger: Ledger) -> Service:
    service = ledger.as_actor(Actor.owner("ada"))
    service.promote(Promotion(name="report", notebook=text(notebook("print(6 * 7)"))))
    return service


def heartbeat(service: LonelyService, runner: PlayedRunner) -> int:
    """Beat once where runners are heard; returns the status."""
    address = f"{service.runner_url}/runner/{runner.attempt}/heartbeat"
    return httpx.post(address, headers={"Authorization": f"Bearer {runner.token}"}, timeout=30).status_code


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.long
def test_a_run_keeps_its_lease_while_the_process_that_answers_people_stands_still(
    tmp_path: Path, ledger: Ledger, ada: Service
) -> None:
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    lease = str(LEASE_SECONDS)
    with answering_hub() as hub:
        service = start_service(tmp_path, hub, RESPAWN_LEASE_SECONDS=lease)
        try:
            with _beating(runner):  # the service may take longer than a lease to start, and to answer then
                wait_for(service.healthy, 60, "the service")
            _outlives(service, runner)
            assert ada.show(runner.run).run.state is RunState.RUNNING
        finally:
            service.process.terminate()
            service.process.wait(30)


@contextmanager
def _beating(runner: PlayedRunner) -> Iterator[None]:
    """Keep a runner's lease in the store, without the service."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(LEASE_SECONDS / 10):
            runner.port.heartbeat()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _outlives(service: LonelyService, runner: PlayedRunner) -> None:
    """Stop the process that answers people for several leases; the runner must be heard all the while."""
    people = psutil.Process(service.process.pid)
    people.suspend()  # as if it held its interpreter for longer than a lease
    try:
        for _ in meanwhile(3 * LEASE_SECONDS, 0.3):
            began = unhindered()
            assert heartbeat(service, runner) == 200
            assert unhindered() - began < 1
    finally:
        people.resume()
    wait_for(lambda: heartbeat(service, runner) == 200 and service.healthy(), 30, "the service")


@pytest.mark.long
def test_what_runners_say_is_counted_and_wakes_the_service(
    tmp_path: Path, ledger: Ledger, ada: Service
) -> None:
    run = ada.run(RunRequest(job="report")).id
    with answering_hub() as hub, lonely_service(tmp_path, hub, RESPAWN_METRICS_OPEN="yes") as service:
        wait_for(lambda: ada.show(run).run.state.final, 60, "the end of the run")
        assert ada.show(run).run.state is RunState.SUCCEEDED

        def counted() -> bool:
            told = httpx.get(f"{service.url}/metrics").text
            ended = 'respawn_runs_ended_total{state="succeeded"} 1.0' in told
            return ended and 'respawn_start_seconds_count{queue="default"} 1.0' in told

        wait_for(counted, 10, "the metrics")


@pytest.mark.long
def test_another_process_hears_the_runners_when_it_is_killed(
    service: LonelyService, runner: PlayedRunner
) -> None:
    assert heartbeat(service, runner) == 200
    first = service.hearing()
    first.kill()
    assert heartbeat(service, runner) == 200, "what is asked meanwhile waits"
    assert service.hearing().pid != first.pid
    wait_for(service.healthy, 30, "the service")


@pytest.mark.long
@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_it_ends_with_the_service(tmp_path: Path, number: signal.Signals) -> None:
    with answering_hub() as hub, lonely_service(tmp_path, hub) as service:
        hearing = service.hearing()
        os.kill(service.process.pid, number)
        wait_for(lambda: not alive(hearing), 30, "the end of the process that hears runners")
        service.process.wait(30)


@pytest.mark.long
def test_one_that_gives_no_sign_of_life_is_replaced(tmp_path: Path, ledger: Ledger, ada: Service) -> None:
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    environment = os.environ | {"RESPAWN_DATA": str(tmp_path)}
    before = set(psutil.Process().children())
    server = RunnerServer(environment, silent_seconds=1, answer_seconds=0.5)
    server.start(Unobserved(), lambda: None)
    try:

        def well() -> bool:
            try:
                server.tick()
            except RespawnError:
                return False
            return True

        wait_for(well, 30, "its first sign of life")
        (first,) = set(psutil.Process().children()) - before
        first.suspend()
        wait_for(lambda: not well(), 10, "its silence to be noticed")
        wait_for(lambda: well() and not alive(first), 30, "another one")
        port = RemoteRunner(server.url, runner.attempt, runner.token)
        assert port.heartbeat().command == "continue"
        port.close()
    finally:
        server.close()
    assert set(psutil.Process().children()) <= before


def test_the_token_of_a_person_opens_nothing_there(service: LonelyService) -> None:
    headers = {"Authorization": f"token {TOKEN}"}
    for path in ("/api/v1/runs", "/services/respawn/api/v1/runs", "/", "/metrics", "/openapi.json", "/docs"):
        assert httpx.get(f"{service.runner_url}{path}", headers=headers).status_code == 404
    assert httpx.post(f"{service.runner_url}/runner/att-x/claim", headers=headers).status_code == 401
