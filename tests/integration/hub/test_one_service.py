"""The service's process at its start: what it refuses, what it takes over, and whom its files are for."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from support.hub import running_hub
from support.lonely import answering_hub, lonely_service, start_service
from support.notebooks import notebook, text
from support.processes import command_of
from support.waiting import wait_for

pytestmark = pytest.mark.integration
_SILENT = """
configure = respawn_hub.configure
respawn_hub.configure = lambda c, **given: configure(c, **{**given, "jobs_share_an_account": False})
"""
_SLEEPER = [sys.executable, "-c", "import time\ntime.sleep(600)"]


def _refusal(data: Path, **environment: str) -> tuple[int, str]:
    """Start a service that refuses to; return its status and what it said."""
    log = data.parent / "log"
    service = start_service(data, 1, log=log, **environment)
    return service.process.wait(60), log.read_text()


def test_a_hub_for_several_people_is_refused_until_the_administrator_agrees(tmp_path: Path) -> None:
    status, said = _refusal(tmp_path / "data", RESPAWN_SHARED="yes")
    assert status == 2
    assert "jobs_share_an_account=True" in said
    assert "allowed_users" in said
    assert ("It is root" in said) == (os.geteuid() == 0)
    assert not (tmp_path / "data").exists(), "nothing was changed"


@pytest.mark.long
def test_who_agreed_is_told_at_each_start_what_it_means(tmp_path: Path) -> None:
    agreed = {"RESPAWN_SHARED": "yes", "RESPAWN_JOBS_SHARE_AN_ACCOUNT": "yes"}
    log = tmp_path / "log"
    with answering_hub() as hub:
        service = start_service(tmp_path / "data", hub, log=log, **agreed)
        try:
            wait_for(service.healthy, 60, "the service")
        finally:
            service.process.terminate()
            service.process.wait(30)
    assert "jobs of all users run as the account" in log.read_text()


@pytest.mark.long
def test_a_second_service_in_one_directory_takes_nothing_and_names_the_first(tmp_path: Path) -> None:
    with answering_hub() as hub, lonely_service(tmp_path / "data", hub) as first:
        status, said = _refusal(tmp_path / "data")
        assert status == 5
        assert f"process {first.process.pid}" in said
        assert "RESPAWN_DATA" in said
        assert first.healthy()


@pytest.mark.slow  # two hubs; of one service beside another, see above
def test_a_second_hub_with_the_same_directory_does_not_start_and_the_first_goes_on(tmp_path: Path) -> None:
    with running_hub(tmp_path / "first") as first:
        (tmp_path / "second").mkdir()
        (tmp_path / "second" / "respawn").symlink_to(first.data)
        service = first.service_process()
        refused = pytest.raises(AssertionError, match="the hub ended with status 1")
        with refused, running_hub(tmp_path / "second"):
            raise NotImplementedError("it has started")
        said = (tmp_path / "second" / "hub.log").read_text()
        assert f"process {service.pid}" in said
        assert f"the hub of process {first.process.pid}" in said
        assert first.service("ada").jobs() == []
        assert first.service_process() == service


@pytest.mark.slow  # a whole hub; of the service alone, see above
def test_a_hub_for_two_people_does_not_start_unless_its_administrator_agrees(tmp_path: Path) -> None:
    refused = pytest.raises(AssertionError, match="the hub ended with status 1")
    with refused, running_hub(tmp_path / "hub", users=("ada", "bob"), extra=_SILENT):
        raise NotImplementedError("it has started")
    assert "jobs_share_an_account=True" in (tmp_path / "hub" / "hub.log").read_text()


@pytest.mark.long
def test_a_port_in_use_is_named_before_anything_is_taken(tmp_path: Path) -> None:
    ledger = Ledger.embedded(tmp_path / "data")
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("1"))))
    run = ada.run(RunRequest(job="report")).id
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, said = _refusal(tmp_path / "data", JUPYTERHUB_SERVICE_URL=f"http://127.0.0.1:{port}")
    detail = ada.show(run)
    ledger.close()
    assert status == 3
    assert f"127.0.0.1:{port} cannot be listened on" in said
    assert (detail.run.state, detail.attempts) == (RunState.QUEUED, [])
    assert (tmp_path / "data" / "service.lock").read_text() == "", "nobody is said to have been killed"


@pytest.mark.long
def test_a_service_whose_hub_is_gone_ends_by_itself_and_requeues_its_runs(tmp_path: Path) -> None:
    ledger = Ledger.embedded(tmp_path / "data")
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="long", notebook=text(notebook("import time", "time.sleep(600)"))))
    run = ada.run(RunRequest(job="long")).id
    log = tmp_path / "log"
    hub = subprocess.Popen(_SLEEPER)
    service = start_service(tmp_path / "data", 1, log=log, RESPAWN_HUB_PID=str(hub.pid))
    try:
        wait_for(lambda: ada.show(run).run.cells_done == 1, 60, "the first cell")
        hub.kill()
        hub.wait()
        service.process.wait(30)
    finally:
        service.process.kill()
        service.process.wait()
    detail = ada.show(run)
    ledger.close()
    assert f"the hub that started this service (process {hub.pid}) is gone" in log.read_text()
    assert detail.run.state is RunState.QUEUED
    assert (tmp_path / "data" / "service.lock").read_text() == "", "it stopped in order"


@pytest.mark.long
def test_a_killed_service_is_named_as_the_cause_by_the_next_one_at_once(tmp_path: Path) -> None:
    ledger = Ledger.embedded(tmp_path / "data")
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="long", notebook=text(notebook("import time", "time.sleep(600)"))))
    run = ada.run(RunRequest(job="long")).id
    with answering_hub() as hub:
        first = start_service(tmp_path / "data", hub, log=tmp_path / "log", RESPAWN_LEASE_SECONDS="600")
        wait_for(lambda: ada.show(run).run.cells_done == 1, 60, "the first cell")
        first.process.kill()
        first.process.wait()
        with lonely_service(tmp_path / "data", hub, RESPAWN_LEASE_SECONDS="600"):
            wait_for(lambda: ada.show(run).run.state.final, 10, "the end of the run")
    detail = ada.show(run)
    ledger.close()
    assert detail.run.state is RunState.LOST
    assert detail.run.error is not None
    assert detail.run.error.name == "RunnerLost"
    assert detail.run.error.value.startswith("the service that ran it was killed")


@pytest.mark.long
def test_a_runner_that_stands_still_is_not_said_to_be_dead(tmp_path: Path) -> None:
    ledger = Ledger.embedded(tmp_path / "data")
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="long", notebook=text(notebook("import time", "time.sleep(600)"))))
    run = ada.run(RunRequest(job="long")).id
    with (
        answering_hub() as hub,
        lonely_service(tmp_path / "data", hub, RESPAWN_LEASE_SECONDS="3") as service,
    ):
        wait_for(lambda: ada.show(run).run.cells_done == 1, 60, "the first cell")
        stopped = [one for one in service.processes() if "respawn_jobs.runner.worker" in command_of(one)]
        try:
            for runner in stopped:
                runner.suspend()
            wait_for(lambda: ada.show(run).run.state.final, 30, "the end of the lease")
        finally:
            for runner in stopped:
                runner.resume()
    told = ada.show(run).run.error
    ledger.close()
    assert told is not None
    assert told.value.startswith("the runner's process lives but was not heard for")


@pytest.mark.long
def test_a_refused_token_is_told_and_ends_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with answering_hub() as hub:
        service = start_service(tmp_path / "data", hub, log=log, JUPYTERHUB_API_TOKEN="of-an-earlier-hub")
        try:
            wait_for(service.healthy, 60, "the service")
            wait_for(lambda: "with a valid one: nobody can sign in" in log.read_text(), 20, "the message")
            assert service.healthy()
            assert service.health()["parts"]["hub"]["status"] == "degraded"
        finally:
            service.process.terminate()
            service.process.wait(30)


@pytest.mark.long
def test_files_that_are_open_to_others_are_closed_at_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ledger = Ledger.embedded(data)
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("1"))))
    (data / "cookie-secret").write_text("0" * 64)
    for path in (data, data / "blobs"):
        path.chmod(0o755)
    for path in data.iterdir():
        if path.is_file():
            path.chmod(0o644)
    old = os.umask(0o022)
    try:
        with answering_hub() as hub, lonely_service(data, hub, RESPAWN_MAX_RUNNING="1") as service:
            run = ada.run(RunRequest(job="report")).id
            wait_for(lambda: ada.show(run).run.state.final, 60, "the run")
            assert _open_to_others(data) == []
            assert service.healthy()
    finally:
        os.umask(old)
    ledger.close()
    assert _open_to_others(data) == []


@pytest.mark.long
def test_jobs_keep_the_umask_that_the_service_was_started_with(tmp_path: Path) -> None:
    ledger = Ledger.embedded(tmp_path / "data")
    ada = ledger.as_actor(Actor.owner("ada"))
    made = tmp_path / "result"
    ada.promote(Promotion(name="report", notebook=text(notebook(f"open({str(made)!r}, 'w').close()"))))
    run = ada.run(RunRequest(job="report")).id
    old = os.umask(0o027)
    try:
        with answering_hub() as hub, lonely_service(tmp_path / "data", hub):
            wait_for(lambda: ada.show(run).run.state.final, 60, "the run")
    finally:
        os.umask(old)
    ledger.close()
    assert stat.S_IMODE(made.stat().st_mode) == 0o640


def test_a_directory_of_everybody_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o1777)
    status, said = _refusal(data)
    assert status == 4
    assert "shared by all accounts" in said
    assert stat.S_IMODE(data.stat().st_mode) == 0o1777
    assert list(data.iterdir()) == []


@pytest.mark.long
def test_a_stop_in_order_leaves_no_cause_behind(tmp_path: Path) -> None:
    with answering_hub() as hub:
        service = start_service(tmp_path / "data", hub, log=tmp_path / "log")
        try:
            wait_for(service.healthy, 60, "the service")
        finally:
            service.process.send_signal(signal.SIGINT)
            service.process.wait(30)
    assert (tmp_path / "data" / "service.lock").read_text() == ""


def _open_to_others(data: Path) -> list[str]:
    """Return what others could read, each with its mode; what lies in a closed directory is out of reach."""
    paths = [data, *data.iterdir()]
    return [f"{path.name} {path.stat().st_mode:o}" for path in paths if path.stat().st_mode & 0o077]
