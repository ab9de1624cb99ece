"""What a single-user server may do for its owner, and what people may where not everyone runs code."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil
import pytest

from respawn_jobs.api.service import Promotion
from respawn_jobs.errors import Forbidden
from respawn_jobs.remote.client import RemoteService
from support.hub import RunningHub, running_hub
from support.leaks import tolerate
from support.waiting import wait_for

from .conftest import GOOD

pytestmark = pytest.mark.integration
_ONLY_THE_TRUSTED = """
import functools
respawn_hub.configure = functools.partial(respawn_hub.configure, everyone=False)
"""
_ROLES = [
    {"name": "trusted", "groups": ["trusted"], "scopes": ["custom:respawn:edit!user"]},
    {"name": "risk-jobs", "groups": ["risk"], "scopes": ["custom:respawn:edit!group=risk"]},
    {
        "name": "server",
        "scopes": ["users:activity!user", "access:servers!server", "custom:respawn:edit!group=risk"],
    },
]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub on which ada and carl are trusted, ada is in a team, bob is neither, and root administers."""
    with running_hub(
        tmp_path_factory.mktemp("rights"),
        users=("ada", "bob", "carl"),
        admins=("root",),
        groups={"risk": {"users": ["ada"]}, "trusted": {"users": ["ada", "carl"]}},
        roles=_ROLES,
        extra=_ONLY_THE_TRUSTED,
    ) as running:
        tolerate(running.process.pid)
        yield running


@pytest.fixture(scope="module")
def server_of(hub: RunningHub) -> Iterator[Callable[[str], RemoteService]]:
    """Start somebody's server, and reach the service with the token that the hub gave to it."""
    opened: list[RemoteService] = []

    def start(user: str) -> RemoteService:
        hub.hub_api("POST", f"/users/{user}")
        hub.hub_api("POST", f"/users/{user}/server").raise_for_status()
        token = wait_for(lambda: _token_of_server(hub, user), 60, f"the server of {user}")
        opened.append(RemoteService(hub.service_url, token))
        return opened[-1]

    yield start
    for service in opened:
        service.close()


def _token_of_server(hub: RunningHub, user: str) -> str | None:
    for child in psutil.Process(hub.process.pid).children(recursive=True):
        try:
            told = child.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended meanwhile
            continue
        if told.get("JUPYTERHUB_USER") == user:
            return told["JUPYTERHUB_API_TOKEN"]
    return None


def _promoted(service: RemoteService, namespace: str) -> str:
    service.promote(Promotion(name="report", namespace=namespace, notebook=GOOD))
    return service.job(f"{namespace}/report").ref


@pytest.mark.long
def test_an_administrators_server_changes_nobody_elses_jobs(
    server_of: Callable[[str], RemoteService], hub: RunningHub
) -> None:
    server = server_of("root")

    assert _promoted(server, "user/root") == "user/root/report"
    with pytest.raises(Forbidden, match="user/ada"):
        _promoted(server, "user/ada")
    # The administrator may, just not with what the server holds.
    assert _promoted(hub.service("root"), "user/ada") == "user/ada/report"


@pytest.mark.long
def test_a_server_promotes_for_its_owner_and_for_teams_that_the_server_role_names(
    server_of: Callable[[str], RemoteService],
) -> None:
    server = server_of("ada")

    assert _promoted(server, "user/ada") == "user/ada/report"
    assert _promoted(server, "team/risk") == "team/risk/report"
    with pytest.raises(Forbidden, match="user/bob"):
        _promoted(server, "user/bob")


@pytest.mark.long
def test_a_server_never_has_more_than_its_owner(server_of: Callable[[str], RemoteService]) -> None:
    server = server_of("bob")

    assert server.jobs() == []
    for namespace in ("user/bob", "team/risk"):
        with pytest.raises(Forbidden, match=namespace):
            _promoted(server, namespace)


@pytest.mark.long
def test_only_the_trusted_run_code_where_not_everyone_may(hub: RunningHub) -> None:
    assert _promoted(hub.service("carl"), "user/carl") == "user/carl/report"
    with pytest.raises(Forbidden, match="user/bob"):
        _promoted(hub.service("bob"), "user/bob")


@pytest.mark.long
def test_the_hubs_log_warns_that_jobs_share_an_account(hub: RunningHub) -> None:
    assert "jobs of all users run as the account" in hub.log.read_text()
