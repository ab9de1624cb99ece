"""Jobs in servers that the hub starts for their owners."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from respawn_jobs.api.carried_files import NewFile
from respawn_jobs.api.runner_protocol import PREEMPTED
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.model.runs import Run, RunDetail, RunState
from support.hub import RunningHub, running_hub
from support.leaks import tolerate
from support.notebooks import notebook, printed_by, text
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(240)]

WAITS = """\
import os, time
open('begun-{0}', 'w').close()
while not os.path.exists('go-{0}'):
    time.sleep(0.05)"""
"""A cell that says that it runs, and waits until it may end."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub"), users=("ada", "eve", "kim"), executor="hub") as running:
        tolerate(running.process.pid)
        yield running


def begin(hub: RunningHub, user: str, name: str, *cells: str) -> str:
    """Promote a notebook that lies in a user's home, run it, and return the run's id."""
    service = hub.service(user)
    service.promote(Promotion(name=name, notebook=text(notebook(*cells)), directory=str(hub.home(user))))
    return service.run(RunRequest(job=name)).id


def ended(hub: RunningHub, user: str, run: str) -> RunDetail:
    service = hub.service(user)
    wait_for(lambda: service.show(run).run.state.final, 150, f"the end of {run}; see {hub.log}")
    return service.show(run)


def servers_of(hub: RunningHub, user: str) -> set[str]:
    """The names of a user's servers that run."""
    servers = hub.hub_api("GET", f"/users/{user}").json()["servers"]
    return {name for name, server in servers.items() if server["ready"]}


def ready(hub: RunningHub, user: str) -> set[str]:
    """The names of a user's servers, once the hub knows that one is ready."""
    return wait_for(lambda: servers_of(hub, user), 60, f"the server of {user}; see {hub.log}")


def waiting(hub: RunningHub, user: str, name: str) -> tuple[str, Path]:
    """Begin a run whose first cell waits; return its id and the file that lets it go on."""
    run = begin(hub, user, name, "a = 1", WAITS.format(name), "print(a)")
    wait_for((hub.home(user) / f"begun-{name}").exists, 120, f"{run} to execute; see {hub.log}")
    return run, hub.home(user) / f"go-{name}"


def succeeded(detail: RunDetail) -> Run:
    assert detail.run.state is RunState.SUCCEEDED, detail.run.error
    return detail.run


def test_a_job_runs_in_a_server_of_its_owner(hub: RunningHub) -> None:
    succeeded(ended(hub, "ada", begin(hub, "ada", "in-a-server", "print(1)")))
    (name,) = ready(hub, "ada")  # it may have run the job before the hub knows that
    assert name.startswith("respawn-")
    assert servers_of(hub, "eve") == set()
    succeeded(ended(hub, "ada", begin(hub, "ada", "in-the-same", "print(1)")))
    assert servers_of(hub, "ada") == {name}


def test_a_server_is_there_when_a_schedule_is_due_and_a_carried_job_works_in_the_home(
    hub: RunningHub,
) -> None:
    service, home = hub.service("kim"), hub.home("kim")
    cells = ("import helpers, os", "open('made.txt', 'w').close()\nprint(helpers.x, os.getcwd())")
    carried = [NewFile.of("helpers.py", b"x = 7\n")]
    service.promote(Promotion(name="by-the-clock", notebook=text(notebook(*cells)), files=carried))
    due = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=2)
    cron = f"{due.minute} {due.hour} * * *"
    service.schedule(ScheduleRequest(job="by-the-clock", cron=cron, tz="UTC"))
    wait_for(lambda: servers_of(hub, "kim"), 150, f"the server of kim; see {hub.log}")
    assert datetime.now(UTC) < due
    assert service.runs(job="by-the-clock") == []
    (run,) = wait_for(lambda: service.runs(job="by-the-clock"), 90, "the scheduled run")
    succeeded(ended(hub, "kim", run.id))
    directory = home / "respawn-work" / f"by-the-clock-{run.id}"
    assert service.show(run.id).attempts[-1].directory == str(directory)
    assert (directory / "made.txt").exists()
    assert printed_by_last(hub, "kim", run.id) == f"7 {directory}\n"


def test_a_service_that_starts_again_disturbs_no_run(hub: RunningHub) -> None:
    run, go = waiting(hub, "ada", "undisturbed")
    before = hub.service_process()
    before.send_signal(signal.SIGTERM)
    wait_for(lambda: not before.is_running(), 60, "the end of the service")
    hub.wait_until_healthy()
    go.touch()
    detail = ended(hub, "ada", run)
    succeeded(detail)
    assert len(detail.attempts) == 1
    succeeded(ended(hub, "ada", begin(hub, "ada", "after-that", "print(1)")))


def test_a_run_goes_on_elsewhere_when_the_hub_stops_its_server(hub: RunningHub) -> None:
    run, go = waiting(hub, "eve", "goes-on")
    (name,) = ready(hub, "eve")
    assert hub.hub_api("DELETE", f"/users/eve/servers/{name}").status_code in (202, 204)
    wait_for(lambda: len(hub.service("eve").show(run).attempts) == 2, 120, f"another attempt; see {hub.log}")
    go.touch()
    detail = ended(hub, "eve", run)
    succeeded(detail)
    assert [attempt.error and attempt.error.name for attempt in detail.attempts] == [PREEMPTED, None]
    assert name not in servers_of(hub, "eve")
    assert printed_by_last(hub, "eve", run) == "1\n"


def test_a_run_is_lost_with_a_server_that_is_killed_and_resumed_in_another(hub: RunningHub) -> None:
    run, go = waiting(hub, "ada", "killed-server")
    (name,) = ready(hub, "ada")
    hub.server_process("ada", name).kill()
    assert ended(hub, "ada", run).run.state is RunState.LOST
    go.touch()
    resumed = ended(hub, "ada", hub.service("ada").resume(run, ResumeRequest()).id)
    assert succeeded(resumed).origin == run
    assert servers_of(hub, "ada").isdisjoint({name})


def test_nobody_registers_in_place_of_a_server(hub: RunningHub) -> None:
    succeeded(ended(hub, "ada", begin(hub, "ada", "registered", "print(1)")))
    (name,) = ready(hub, "ada")
    for user in ("ada", "eve"):
        answer = httpx.post(
            f"{hub.service_url}/job-servers/{name}/register",
            headers={"Authorization": f"token {hub.token(user)}"},
            json={"nonce": "guessed", "protocol": 1},
        )
        assert answer.status_code == 401, answer.text
    for method, path in (("POST", "report"), ("GET", "orders")):
        answer = httpx.request(
            method,
            f"{hub.service_url}/job-servers/{name}/{path}",
            headers={"Authorization": "Bearer guessed"},
            json={"living": [], "ended": []} if method == "POST" else None,
        )
        assert answer.status_code == 401, answer.text


def test_a_person_cannot_start_what_looks_like_a_job_server(hub: RunningHub) -> None:
    answer = hub.hub_api("POST", "/users/eve/servers/respawn-of-eves")
    assert answer.status_code >= 400
    assert "respawn-of-eves" not in servers_of(hub, "eve")


OF_ANOTHER_RELEASE = """
import respawn_jobs.remote.job_server as link
from respawn_server.job_server.__main__ import main
link.own_release = lambda: "0.0.9"
main()
"""
ENDS_AT_ONCE = "import sys; sys.exit('there is no Respawn here')"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            OF_ANOTHER_RELEASE,
            "the job server of ada was sent away: it has Respawn 0.0.9, and the service has ",
        ),
        # What follows is the hub's: JupyterHub 6.1 tells the status of the process, or nothing (a race).
        (ENDS_AT_ONCE, "the hub does not start a job server of ada: "),
    ],
)
def test_a_run_says_why_its_server_cannot_be_used(tmp_path: Path, command: str, words: str) -> None:
    start = [sys.executable, "-c", command]
    with running_hub(tmp_path, users=("ada", "eve"), executor="hub", job_server_command=start) as hub:
        run = begin(hub, "ada", "waits", "print(1)")
        service = hub.service("ada")
        wait_for(lambda: words in str(service.show(run).run.waiting), 120, f"the words; see {hub.log}")
        wait_for(lambda: servers_of(hub, "ada") == set(), 60, "the end of the server")
        service.cancel(run)


def printed_by_last(hub: RunningHub, user: str, run: str) -> str:
    import nbformat

    return printed_by(nbformat.reads(hub.service(user).notebook(run), as_version=4).cells[-1])
