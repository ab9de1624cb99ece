"""The kernel in which a run failed lives on in its job server, and opens as the debug notebook's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nbformat
import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from respawn_jobs.api.service import JobSettings, Promotion, ResumeRequest, RunRequest
from respawn_jobs.host.workspace import workspaces
from respawn_jobs.model.runs import Run, RunState
from support.hub import RunningHub, running_hub
from support.leaks import tolerate
from support.notebooks import notebook, text
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

CELLS = (
    "prices = {'tea': 3}",
    "prices['milk'] = 1\nhalf = list(prices)\nprices['coffee']",
    "print(sum(prices.values()))",
)
"""The second one fails when it has done half of its work."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub"), executor="hub") as running:
        tolerate(running.process.pid)
        yield running


@dataclass(frozen=True)
class Failed:
    """A run that failed, with its kernel in a job server."""

    hub: RunningHub
    run: Run
    attempt: str
    server: str

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the job server as its owner."""
        url = f"{self.hub.url}/user/ada/{self.server}/{path}"
        headers = {"Authorization": f"token {self.hub.token('ada')}"}
        answer = httpx.request(method, url, headers=headers, timeout=120, **options)
        assert answer.status_code < 400, answer.text
        return answer

    def open(self, *, restored: bool = False) -> str:
        """Open the debug notebook, and return its path."""
        answer = self.call("POST", f"respawn/api/debug/{self.run.id}", json={"restored": restored})
        last = json.loads(answer.text.splitlines()[-1])
        assert last["type"] == "open", last
        return str(last["path"])

    def kernel(self, path: str) -> str:
        """The id of a notebook's kernel."""
        sessions = self.call("GET", "api/sessions").json()
        return next(one["kernel"]["id"] for one in sessions if one["path"] == path)

    @property
    def connection_file(self) -> Path:
        (found,) = workspaces().glob(f"*/kept-kernels/{self.attempt}.json")
        return found

    def client(self, kernel: str | None = None) -> BlockingKernelClient:
        """A client of the kernel that failed, or of another one of the server's."""
        name = f"kernel-{kernel}.json"
        file = next(self.hub.directory.rglob(name)) if kernel else self.connection_file
        client = BlockingKernelClient(connection_file=str(file))
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=30)
        return client


def failed(hub: RunningHub, name: str, *cells: str, **settings: Any) -> Failed:
    """Promote a notebook of ada's, run it, and wait until its kernel is known to live on."""
    service = hub.service("ada")
    promotion = Promotion(name=name, notebook=text(notebook(*cells)), directory=str(hub.home("ada")))
    service.promote(promotion.model_copy(update={"settings": JobSettings(**settings)}))
    run = service.run(RunRequest(job=name)).id
    wait_for(lambda: service.show(run).run.state.final, 150, f"the end of {run}; see {hub.log}")
    if settings.get("keep_kernel_seconds") == 0:
        return Failed(hub, service.show(run).run, service.show(run).attempts[-1].id, "")
    living = wait_for(lambda: service.show(run).living, 15, f"the kernel of {run}; see {hub.log}")
    assert living.account == "ada"
    # A job server works before the hub has found it to be up.
    wait_for(lambda: _is_ready(hub, living.server), 60, f"the server {living.server}; see {hub.log}")
    detail = service.show(run)
    return Failed(hub, detail.run, detail.attempts[-1].id, living.server)


def _is_ready(hub: RunningHub, server: str) -> bool:
    servers = hub.hub_api("GET", "/users/ada").json()["servers"]
    return bool(servers.get(server, {}).get("ready"))


@pytest.fixture(scope="module")
def prices(hub: RunningHub) -> Failed:
    return failed(hub, "prices", *CELLS)


def value(client: BlockingKernelClient, expression: str) -> str:
    reply = client.execute_interactive(
        "",
        silent=True,
        user_expressions={"value": expression},
        output_hook=lambda _message: None,
        timeout=30,
    )
    return str(reply["content"]["user_expressions"]["value"]["data"]["text/plain"])


def test_debug_notebook_is_at_the_very_kernel_that_failed(prices: Failed) -> None:
    assert prices.run.state is RunState.FAILED
    path = prices.open()
    client = prices.client()
    try:
        assert value(client, "prices, half") == "({'tea': 3, 'milk': 1}, ['tea', 'milk'])"
        assert value(client, "type(__import__('sys').last_value).__name__") == "'KeyError'"
    finally:
        client.stop_channels()
    listed = {one["id"] for one in prices.call("GET", "api/kernels").json()}
    assert prices.kernel(path) in listed
    home = prices.hub.home("ada")
    restore = nbformat.read(home / path, as_version=4).cells[1]
    assert "is connected to the kernel in which the run failed" in restore.outputs[0].data["text/plain"]
    living = prices.call("GET", f"respawn/api/outcome?path={path}").json()["living"]
    assert living["here"] is True


@pytest.mark.long
def test_state_before_the_cell_opens_in_another_kernel_and_both_stay(prices: Failed) -> None:
    path = prices.open()
    that_failed = prices.kernel(path)
    assert prices.open(restored=True) == path
    restored = prices.kernel(path)
    assert restored != that_failed
    client = prices.client(restored)
    try:
        assert value(client, "prices, 'half' in globals()") == "({'tea': 3}, False)"
        client.execute_interactive("mine = 1", output_hook=lambda _message: None, timeout=30)
    finally:
        client.stop_channels()
    assert prices.call("GET", f"respawn/api/outcome?path={path}").json()["living"]["here"] is False
    prices.open()
    assert prices.kernel(path) == that_failed
    prices.open(restored=True)
    assert prices.kernel(path) == restored
    client = prices.client(restored)
    try:
        assert value(client, "mine") == "1"
    finally:
        client.stop_channels()


@pytest.mark.long
def test_a_cell_in_it_can_be_interrupted(prices: Failed) -> None:
    path = prices.open()
    client = prices.client()
    try:
        request = client.execute("open('sleeps', 'w').close()\nimport time; time.sleep(600)")
        wait_for((prices.hub.home("ada") / "sleeps").exists, 30, "the cell to run")
        prices.call("POST", f"api/kernels/{prices.kernel(path)}/interrupt")
        reply = client._recv_reply(request, timeout=30)  # type: ignore[no-untyped-call]
        assert reply["content"]["ename"] == "KeyboardInterrupt"
    finally:
        client.stop_channels()


@pytest.mark.long
def test_the_run_is_resumed_while_its_kernel_lives(hub: RunningHub, prices: Failed) -> None:
    path, service = prices.open(), hub.service("ada")
    fixed = nbformat.read(hub.home("ada") / path, as_version=4)
    cell = next(one for one in fixed.cells if one.source == CELLS[1])
    cell.source = CELLS[1].replace("prices['coffee']", "prices['coffee'] = 5")
    resumed = service.resume(prices.run.id, ResumeRequest(notebook=nbformat.writes(fixed))).id
    wait_for(lambda: service.show(resumed).run.state.final, 90, f"the end of {resumed}; see {hub.log}")
    assert service.show(resumed).run.state is RunState.SUCCEEDED, service.show(resumed).run.error
    assert '"9\\n"' in service.notebook(resumed)
    assert service.show(prices.run.id).living is not None


@pytest.mark.long
def test_it_ends_when_somebody_shuts_it_down(hub: RunningHub) -> None:
    one, service = failed(hub, "shut-down", *CELLS), hub.service("ada")
    kernel, client = one.kernel(one.open()), one.client()
    try:
        process = psutil.Process(int(value(client, "__import__('os').getpid()")))
    finally:
        client.stop_channels()
    one.call("DELETE", f"api/kernels/{kernel}")
    wait_for(lambda: not process.is_running(), 30, "the end of the kernel")
    wait_for(lambda: service.show(one.run.id).living is None, 30, "the service to know it")
    path = one.open()  # what the link does then: it restores
    restored = one.client(one.kernel(path))
    try:
        assert value(restored, "prices") == "{'tea': 3}"
    finally:
        restored.stop_channels()


@pytest.mark.long
def test_none_is_kept_where_the_job_wants_none(hub: RunningHub) -> None:
    one = failed(hub, "none-kept", *CELLS, keep_kernel_seconds=0)
    assert one.run.state is RunState.FAILED
    other = failed(hub, "kept-after-it", *CELLS)  # its report comes after that of the first one
    assert hub.service("ada").show(one.run.id).living is None
    assert other.connection_file.exists()


@pytest.mark.long
def test_it_ends_when_its_time_is_over(hub: RunningHub) -> None:
    one = failed(hub, "over-soon", *CELLS, keep_kernel_seconds=1)
    wait_for(lambda: hub.service("ada").show(one.run.id).living is None, 60, "the end of its time")
    files = f"*/kept-kernels/{one.attempt}.json"
    wait_for(lambda: not list(workspaces().glob(files)), 30, "the end of its kernel")


READS = "custom:respawn:read!group=risk"
TEAM_SCOPES = ("custom:respawn:enter!group=risk", "access:servers!user=risk-jobs")


@pytest.fixture(scope="module")
def team_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub with a team of kim and ivo, of whom kim may go to the server of the team's account."""
    edits = "custom:respawn:edit!group=risk"
    roles = (
        {"name": "risk-edits", "users": ["kim", "ivo"], "scopes": [edits]},
        {"name": "risk-enters", "users": ["kim"], "scopes": [*TEAM_SCOPES]},
        {"name": "risk-reads", "users": ["risk-jobs"], "scopes": [READS]},
        {"name": "server", "scopes": ["users:activity!user", "access:servers!server", READS]},
    )
    with running_hub(
        tmp_path_factory.mktemp("team"),
        users=("kim", "ivo", "risk-jobs"),
        groups={"risk": {"users": ["kim", "ivo"]}},
        roles=roles,
        executor="hub",
        service_environment={"RESPAWN_TEAM_ACCOUNTS": "team/risk=risk-jobs"},
    ) as running:
        tolerate(running.process.pid)
        yield running


@pytest.mark.long
def test_a_teams_kernel_opens_to_those_with_the_right_alone(team_hub: RunningHub) -> None:
    service = team_hub.service("kim")
    service.promote(Promotion(namespace="team/risk", name="prices", notebook=text(notebook(*CELLS))))
    run = service.run(RunRequest(job="team/risk/prices")).id
    living = wait_for(lambda: service.show(run).living, 150, f"the kernel of {run}; see {team_hub.log}")
    assert living.account == "risk-jobs"
    place = f"{team_hub.url}/user/risk-jobs/{living.server}/respawn/api/debug/{run}"

    def opened(user: str) -> httpx.Response:
        headers = {"Authorization": f"token {team_hub.token(user)}"}
        return httpx.post(place, headers=headers, json={}, timeout=120)

    wait_for(lambda: opened("kim").status_code == 200, 60, f"the server {living.server}; see {team_hub.log}")
    assert json.loads(opened("kim").text.splitlines()[-1])["type"] == "open"
    assert opened("ivo").status_code == 403
