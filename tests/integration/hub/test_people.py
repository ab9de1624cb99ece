"""A real hub whose users go, are renamed, and are made anew under a name that another one had."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest
from respawn_jobs.api.triggers import HookRequest, NewHook
from respawn_jobs.cli.entry import run_command
from respawn_jobs.errors import Forbidden, NotFound, Unauthenticated
from respawn_jobs.model.runs import CellState, RunState
from respawn_jobs.remote.client import RemoteService
from support.hub import RunningHub, running_hub
from support.leaks import tolerate
from support.notebooks import notebook, text
from support.receivers import HttpReceiver, http_receiver
from support.signed_calls import headers_of, signed_call
from support.waiting import wait_for

from .conftest import BAD, GOOD, Visitor, ended

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, receiver: HttpReceiver) -> Iterator[RunningHub]:
    """A hub that root administers, where Respawn asks each second who is there."""
    directory = tmp_path_factory.mktemp("people")
    channels = directory / "channels.toml"
    channels.write_text(f'[office]\nurl = "{receiver.address}"\nadministrators = true\n')
    channels.chmod(0o600)
    with running_hub(
        directory / "hub",
        users=("ada", "bob", "carl", "dora", "eve"),
        admins=("root",),
        service_environment={"RESPAWN_USERS_SECONDS": "1", "RESPAWN_CHANNELS_FILE": str(channels)},
    ) as running:
        tolerate(running.process.pid)
        yield running


@pytest.fixture(scope="module")
def root(hub: RunningHub) -> RemoteService:
    return hub.service("root")


@pytest.fixture
def as_root(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Any]]:
    """Run a command line with `--json` as the administrator; returns the exit status and the document."""
    monkeypatch.setenv("RESPAWN_URL", hub.service_url)
    monkeypatch.setenv("RESPAWN_TOKEN", hub.token("root"))

    def as_root(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        status = run_command([*arguments, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return as_root


class Left:
    """What a user has in Respawn: a failed run, a schedule that is due each minute, a webhook."""

    def __init__(self, hub: RunningHub, user: str) -> None:
        self.hub, self.user = hub, user
        service = hub.service(user)
        service.promote(Promotion(name="report", notebook=BAD))
        self.run = ended(service, service.run(RunRequest(job="report")).id)
        service.schedule(ScheduleRequest(job="report", cron="* * * * *", tz="UTC"))
        self.hook: NewHook = service.hook(HookRequest(job="report"))

    def call(self) -> httpx.Response:
        """Call the webhook as its sender would."""
        headers = headers_of(signed_call(self.hook.secret, datetime.now(UTC)))
        return httpx.post(f"{self.hub.service_url}/hooks/{self.hook.hook.id}", headers=headers)

    def leave(self) -> None:
        """Delete the user at the hub."""
        self.hub.hub_api("DELETE", f"/users/{self.user}").raise_for_status()
        self.hub._tokens.pop(self.user, None)


def states(root: RemoteService) -> dict[str, str]:
    return {one.name: one.state for one in root.namespaces()}


@pytest.mark.long
def test_a_user_who_is_deleted_and_made_anew_leaves_nothing_to_the_new_one(
    hub: RunningHub, root: RemoteService, receiver: HttpReceiver, as_root: Callable[..., tuple[int, Any]]
) -> None:
    left = Left(hub, "ada")
    assert left.call().status_code == 201
    left.leave()
    wait_for(lambda: states(root).get("user/ada") == "suspended", 30, "the suspension of what ada left")
    refused = left.call()
    assert refused.status_code == 409
    assert "the hub has no user ada any more" in refused.json()["message"]
    wait_for(lambda: any("user/ada is suspended" in m["title"] for m in receiver.messages), 30, "the notice")
    visitor = Visitor(hub, "root")
    for page in ("", "jobs/user/ada/report", f"runs/{left.run.id}"):
        assert "the hub has no user ada any more" in visitor.get(page).text, page
    visitor.client.close()

    again = hub.service("ada")
    assert (again.jobs(), again.runs()) == ([], [])
    with pytest.raises(Forbidden):
        again.show(left.run.id)
    assert states(root)["former/ada.1"] == "suspended"
    assert left.call().status_code == 409
    again.promote(Promotion(name="mine", notebook=GOOD))

    status, moved = as_root("admin", "move", "former/ada.1", "user/ada")
    assert (status, moved["name"], moved["state"], moved["jobs"]) == (0, "user/ada", "active", 2)
    assert {job.name for job in again.jobs()} == {"mine", "report"}
    assert left.call().status_code == 201
    assert {"suspend", "move"} <= {record.action for record in root.audit()}


@pytest.mark.long
def test_a_run_that_executes_for_a_deleted_user_is_cancelled(
    hub: RunningHub, root: RemoteService, receiver: HttpReceiver
) -> None:
    eve = hub.service("eve")
    eve.promote(Promotion(name="long", notebook=text(notebook("kept = 1", "import time; time.sleep(600)"))))
    run = eve.run(RunRequest(job="long")).id

    def executes() -> bool:
        return [cell.state for cell in eve.show(run).cells][1:] == [CellState.RUNNING]

    wait_for(executes, 60, "the second cell to execute")
    hub.hub_api("DELETE", "/users/eve").raise_for_status()
    hub._tokens.pop("eve", None)
    shown = ended(root, run)
    assert shown.state is RunState.CANCELLED
    attempt = root.show(run).attempts[-1]
    assert attempt.note == "cancelled by respawn:owners: the hub has no user eve any more"
    assert root.debug(run).checkpoint is not None

    def told() -> bool:
        return any("1 run that executed is cancelled" in message["message"] for message in receiver.messages)

    wait_for(told, 30, "the notice to administrators")


@pytest.mark.long
def test_a_name_that_is_taken_before_anybody_looked_inherits_nothing(
    hub: RunningHub, root: RemoteService
) -> None:
    left = Left(hub, "bob")
    left.leave()
    again = hub.service("bob")
    assert (again.jobs(), again.runs()) == ([], [])
    with pytest.raises(Forbidden):
        again.show(left.run.id)
    assert left.call().status_code == 409


@pytest.mark.long
def test_a_renamed_user_takes_everything_along(hub: RunningHub, root: RemoteService) -> None:
    left = Left(hub, "carl")
    hub.hub_api("PATCH", "/users/carl", json={"name": "charles"}).raise_for_status()
    charles = hub.service("charles")
    assert [job.ref for job in charles.jobs()] == ["user/charles/report"]
    assert charles.show(left.run.id).run.job == "user/charles/report"
    assert left.call().status_code == 201
    assert "user/carl" not in states(root)


@pytest.mark.long
def test_an_administrator_retires_a_namespace(
    hub: RunningHub, root: RemoteService, as_root: Callable[..., tuple[int, Any]], tmp_path: Path
) -> None:
    left = Left(hub, "dora")
    status, told = as_root("admin", "move", "user/dora", "user/nobody")
    assert (status, told["error"]) == (2, "not_found")
    assert "the hub knows no user nobody" in told["message"]
    status, told = as_root("admin", "retire", "user/dora", "--yes")
    assert (status, told["name"], told["state"]) == (0, "former/dora.1", "retired")
    assert hub.service("dora").jobs() == []
    assert left.call().status_code == 409
    status, listed = as_root("admin", "namespaces")
    assert {one["name"]: one["state"] for one in listed}["former/dora.1"] == "retired"


@pytest.mark.long
@pytest.mark.parametrize("changes", [False, True], ids=["looks", "changes something"])
def test_a_right_that_is_taken_away_ends_within_seconds(hub: RunningHub, changes: bool) -> None:
    made = hub.hub_api("POST", "/users/root/tokens", json={"note": "short"}).json()
    service = RemoteService(hub.service_url, made["token"])
    ask = (lambda: service.cancel("run-0000000000")) if changes else service.jobs
    with suppress(NotFound):
        ask()
    hub.hub_api("DELETE", f"/users/root/tokens/{made['id']}").raise_for_status()
    ended_at = time.monotonic()

    def refused() -> bool:
        try:
            ask()
        except Unauthenticated:
            return True
        except NotFound:
            pass
        return False

    wait_for(refused, 30, "the end of the right")
    assert time.monotonic() - ended_at < (3 if changes else 8), (
        "what docs/how-to/add-to-a-hub.md says, and slack"
    )
    service.close()
