"""A list of the hub's users counts only when it is certain to be of all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from respawn_hub.hub.client import Hub, HubUser
from respawn_hub.hub.directory import HubDirectory
from respawn_hub.hub.people import People
from respawn_hub.loops.user_sync import Owners
from respawn_hub.startup.settings import HubSettings
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion
from respawn_jobs.errors import Conflict, Unavailable
from respawn_jobs.ledger import Ledger
from support.notebooks import notebook, text

CREATED = "2026-01-01T08:00:00.100000Z"
ALL = ("list:users", "read:users", "read:users:name")


class PlayedHub:
    """What the API of a hub answers to its service: as recorded of JupyterHub 6.1, with faults."""

    def __init__(self, *names: str, scopes: tuple[str, ...] = ALL, page: int = 2) -> None:
        self.names, self.scopes, self.page = list(names), scopes, page
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens between two pages."""
        self.status = 200

    def __call__(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        if self.status != 200:
            return httpx.Response(self.status, json={})
        if path == "/user":
            return httpx.Response(200, json={"name": "respawn", "kind": "service", "scopes": self.scopes})
        if path.startswith("/users/"):
            name = path.removeprefix("/users/")
            known = name in self.names
            return httpx.Response(200 if known else 404, json=self.model(name) if known else {})
        offset = int(query["offset"])
        items = [self.model(name) for name in self.names[offset : offset + self.page]]
        more = offset + self.page < len(self.names)
        following = {"offset": offset + self.page} if more else None
        document = {"items": items, "_pagination": {"total": len(self.names), "next": following}}
        self.meanwhile()
        return httpx.Response(200, content=json.dumps(document))

    def model(self, name: str) -> dict[str, Any]:
        return {"name": name, "created": CREATED}


def test_all_pages_are_read() -> None:
    found = HubDirectory(PlayedHub("ada", "bob", "carl", "dora", "eve")).users()
    assert found == dict.fromkeys(("ada", "bob", "carl", "dora", "eve"), CREATED)


@pytest.mark.parametrize(
    "scopes",
    [
        (),
        ("list:users",),
        ("read:users",),
        ("list:users!group=risk", "read:users"),
        ("list:users", "read:users:name"),
    ],
)
def test_a_service_that_may_not_see_all_users_believes_no_list(scopes: tuple[str, ...]) -> None:
    with pytest.raises(Unavailable, match="does not let the service see all its users: give it"):
        HubDirectory(PlayedHub("ada", scopes=scopes)).users()


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_hub_in_trouble_is_not_one_without_users(status: int) -> None:
    hub = PlayedHub("ada")
    hub.status = status
    with pytest.raises(Unavailable):
        HubDirectory(hub).users()


def test_a_list_that_changes_while_it_is_read_is_read_again() -> None:
    hub = PlayedHub("ada", "bob", "carl", "dora")
    hub.meanwhile = lambda: hub.names.remove("ada") if "ada" in hub.names else None
    with pytest.raises(Unavailable, match="changed while it was read"):
        HubDirectory(hub).users()
    assert set(HubDirectory(hub).users()) == {"bob", "carl", "dora"}


@pytest.fixture
def people(ledger: Ledger) -> People:
    """The service's, over a store in which ada and bob have jobs."""
    root = ledger.as_actor(Actor.owner("root"))
    for name in ("ada", "bob"):
        assert ledger.admit(name, CREATED.replace("00.1", f"{len(name) + ord(name[0]) % 10:02}.1"))
        root.promote(Promotion(name="report", namespace=f"user/{name}", notebook=text(notebook("1"))))
    return People(ledger)


def looked(people: People, hub: PlayedHub) -> None:
    client = Hub(HubSettings(api_token="not-used", api_url="http://127.0.0.1:1/hub/api", client_id="x"))
    client.directory = HubDirectory(hub)
    people.attach(client)
    try:
        people.look()
    finally:
        client.close()


def states(ledger: Ledger) -> dict[str, str]:
    found = ledger.as_actor(Actor.owner("root")).namespaces()
    return {one.name: one.state for one in found}


def test_who_is_gone_is_suspended(people: People, ledger: Ledger, tmp_path: Path) -> None:
    hub = PlayedHub("bob", "root")
    hub.model = lambda name: {"name": name, "created": None}  # type: ignore[method-assign]
    looked(people, hub)
    assert states(ledger) == {"user/ada": "suspended", "user/bob": "active"}


def test_who_came_between_the_list_and_the_question_is_not_gone(people: People, ledger: Ledger) -> None:
    hub = PlayedHub("bob")
    hub.model = lambda name: {"name": name, "created": None}  # type: ignore[method-assign]
    hub.meanwhile = lambda: hub.names.append("ada") if "ada" not in hub.names else None
    looked(people, hub)
    assert states(ledger) == {"user/ada": "active", "user/bob": "active"}


@pytest.mark.parametrize("trouble", ["nobody", "silent", "narrow"])
def test_nobody_is_suspended_without_a_list_of_all(people: People, ledger: Ledger, trouble: str) -> None:
    hub = PlayedHub()
    if trouble == "silent":
        hub.status = 503
    if trouble == "narrow":
        hub = PlayedHub("bob", scopes=("list:users!group=risk", "read:users!group=risk"))
    if trouble == "nobody":
        looked(people, hub)
    else:
        with pytest.raises(Unavailable):
            looked(people, hub)
    assert states(ledger) == {"user/ada": "active", "user/bob": "active"}


def test_a_hub_with_another_database_lets_nobody_into_what_others_left(
    ledger: Ledger,
) -> None:
    root = ledger.as_actor(Actor.owner("root"))
    for number in range(4):
        assert ledger.admit(f"u{number}", f"2025-01-0{number + 1}T00:00:00.5Z")
        root.promote(Promotion(name="report", namespace=f"user/u{number}", notebook=text(notebook("1"))))
    asked: list[str] = []
    hub = PlayedHub("u0", "u1", "u2", "u3")
    hub.meanwhile = lambda: asked.append("list")
    people, user = People(ledger), HubUser("u0", "user", frozenset(), frozenset(), CREATED)
    with pytest.raises(Conflict, match="4 owners of namespaces seem to be gone from the hub at once"):
        looked(people, hub)
    with pytest.raises(Conflict, match="move user/NAME user/NAME"):
        people.admit(user)
    assert len(asked) == 2, "two pages: who comes in does not make the hub tell all its users each time"
    assert set(states(ledger).values()) == {"active"}
    ledger.move_namespace(Actor.owner("root"), "user/u0", "user/u0", CREATED)
    people.admit(user)


@pytest.mark.parametrize(("took", "rest"), [(0.5, 60.0), (15.0, 300.0)])
def test_listing_users_takes_a_small_part_of_a_hubs_time(took: float, rest: float) -> None:
    now = [100.0]

    class Slow(People):
        def look(self) -> None:
            now[0] += took

    loop = Owners(Slow.__new__(Slow), every_seconds=60.0, monotonic=lambda: now[0])
    assert loop.tick() == rest
    now[0] += 10
    assert loop.tick() == rest - 10, "woken for something else, it does not ask again"
    now[0] += rest
    assert loop.tick() == rest
