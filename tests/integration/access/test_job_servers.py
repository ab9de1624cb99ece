"""Who may speak for a job server: every route of theirs, by everybody with a token or key of another kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from respawn_hub.job_servers import routes
from respawn_hub.job_servers.led import LedExecutor
from respawn_jobs.api.job_server_protocol import own_release
from respawn_jobs.ledger.capacity.leadership import Leader
from support.access.people import Place
from support.access.promise import PAGE, lines
from support.access.things import Things
from support.access.ways import tokens_of
from support.played_hub import Played, PlayedHub, PlayedSeconds
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.long]
TEAM, OWN = "risk-jobs", "ada"
"""Whose servers there are: the account of a team, and a person."""
BY_KEY = {"GET orders": None, "POST report": {}}
BY_TOKEN = {"POST register"}


@dataclass(frozen=True)
class Server:
    """A job server that the service has asked the hub for."""

    name: str
    account: str
    nonce: str


@pytest.fixture(scope="module")
def servers(service: Place) -> Iterator[dict[str, Server]]:
    """A server of each account, which waits for its process; the hub that starts them is played."""
    hub = PlayedHub()
    played = Played(service.ledger, PlayedSeconds(), hub, teams={"team/risk": TEAM})
    led = LedExecutor(service.ledger, Leader("rep-access", service.url), lambda: played.executor, ahead=30.0)
    led.probe()
    before = service.app.state.hub_executor
    service.app.state.hub_executor = led
    found = {}
    for count, (account, namespace) in enumerate([(TEAM, "team/risk"), (OWN, "user/ada")], 1):
        played.places(namespace)
        wait_for(lambda count=count: len(hub.started) == count, 10, "the server")  # type: ignore[misc]
        name = list(hub.started)[-1]
        assert hub.started[name][0] == account
        found[account] = Server(name, *hub.started[name])
    yield found
    led.close()
    service.app.state.hub_executor = before


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have requests for orders answered at once, also where there are none."""
    monkeypatch.setattr(routes, "_WAIT_SECONDS", 0.01)


def ask(client: httpx.Client, what: str, name: str, authorization: str, body: object = None) -> int:
    method, _, last = what.partition(" ")
    headers = {"Authorization": authorization} if authorization else {}
    return client.request(method, f"/job-servers/{name}/{last}", headers=headers, json=body).status_code


def hello(server: Server, nonce: str | None = None) -> dict[str, object]:
    return {"nonce": nonce or server.nonce, "version": own_release()}


def token_of(service: Place, user: str, server: Server, whose: str = "") -> str:
    """Return a token of a person for a server, as the hub gives one to the server itself."""
    scope = f"access:servers!server={whose or server.account}/{server.name}"
    return service.token(user, scopes=[scope, "access:services!service=matrix"])


def test_each_route_of_job_servers_is_tried_here() -> None:
    wanted = {
        f"{method} {path.rpartition('/')[2]}" for method, path in lines() if path.startswith("/job-servers")
    }
    assert wanted == {*BY_KEY, *BY_TOKEN}, f"a route of {PAGE.name} that no test tries"


def test_a_server_registers_once_by_its_own_token_and_nonce_alone(
    service: Place, things: dict[str, Things], servers: dict[str, Server], client: httpx.Client
) -> None:
    own, other = servers[OWN], servers[TEAM]
    exact = token_of(service, "ada", own)
    running = things["team/risk"].tokens[things["team/risk"].ids["attempt"]]
    strangers = {
        "nobody": "",
        "the account's own token, which is for all its servers": f"token {service.people['ada'].token}",
        "an administrator": f"token {service.people['root'].token}",
        "an administrator who may enter just this server": f"token {token_of(service, 'root', own)}",
        "another person's server of the same name": f"token {token_of(service, 'bob', own, 'bob')}",
        "another server of the account": f"token {token_of(service, 'ada', Server(other.name, OWN, ''))}",
        "a runner": f"Bearer {running}",
        "an expired token": f"token {tokens_of(service)['expired']}",
        "its token by another scheme": f"Bearer {exact}",
    }
    for who, authorization in strangers.items():
        assert ask(client, "POST register", own.name, authorization, hello(own)) == 401, who
    for nonce in ("made up", other.nonce):
        assert ask(client, "POST register", own.name, f"token {exact}", hello(own, nonce)) == 401, nonce
    assert ask(client, "POST register", other.name, f"token {exact}", hello(other)) == 401, "of another"
    assert ask(client, "POST register", own.name, f"token {exact}", hello(own)) == 200
    assert ask(client, "POST register", own.name, f"token {exact}", hello(own)) == 401, "once more"


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("what", BY_KEY)
def test_only_its_own_key_speaks_for_a_registered_server(
    what: str,
    service: Place,
    things: dict[str, Things],
    servers: dict[str, Server],
    client: httpx.Client,
    request: pytest.FixtureRequest,
) -> None:
    keys = _keys(service, servers)
    own, other = servers[TEAM], servers[OWN]
    mine = things["team/risk"]
    strangers = {
        "nobody": "",
        "the other account's server": f"Bearer {keys[OWN]}",
        "half its key": f"Bearer {keys[TEAM][: len(keys[TEAM]) // 2]}",
        "its key by another scheme": f"token {keys[TEAM]}",
        "its nonce": f"Bearer {own.nonce}",
        **{f"{one.kind} with a token": f"Bearer {one.token}" for one in service.people.values()},
        **{f"the runner of {attempt}": f"Bearer {token}" for attempt, token in mine.tokens.items()},
    }
    for who, authorization in strangers.items():
        assert ask(client, what, own.name, authorization, BY_KEY[what]) == 401, who
    assert ask(client, what, other.name, f"Bearer {keys[TEAM]}", BY_KEY[what]) == 401, "another's address"
    assert ask(client, what, own.name, f"Bearer {keys[TEAM]}", BY_KEY[what]) in (200, 204)


def test_a_key_opens_nothing_of_people_or_runners(
    service: Place, things: dict[str, Things], servers: dict[str, Server], client: httpx.Client
) -> None:
    key = _keys(service, servers)[TEAM]
    mine = things["team/risk"]
    for scheme in ("Bearer", "token"):
        headers = {"Authorization": f"{scheme} {key}"}
        for path in ("/api/v1/whoami", "/api/v1/jobs", f"/api/v1/runs/{mine.ids['run']}", "/"):
            assert client.get(path, headers=headers).status_code in (302, 401, 403), path
        beat = client.post(f"/runner/{mine.ids['attempt']}/heartbeat", headers=headers, json={})
        assert beat.status_code == 401


def test_a_key_ends_with_its_server(service: Place, servers: dict[str, Server], client: httpx.Client) -> None:
    key = _keys(service, servers)[OWN]
    own = servers[OWN]
    assert ask(client, "POST report", own.name, f"Bearer {key}", {}) == 204
    service.ledger.give_up_job_server(own.name)
    assert ask(client, "POST report", own.name, f"Bearer {key}", {}) == 401


def _keys(service: Place, servers: dict[str, Server]) -> dict[str, str]:
    """Return the keys of both servers, registered anew: the store of the matrix goes back after each test."""
    found = {}
    for account, server in servers.items():
        service.ledger.give_up_job_server(server.name)
        planned = service.ledger.plan_job_server(account)
        assert planned is not None
        servers[account] = Server(planned.name, account, planned.nonce)
        found[account] = service.ledger.register_job_server(planned.name, account, planned.nonce)
    return found
