"""Who may do what, as docs/reference/access.md says: every route, everybody, every way of signing in."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from respawn_hub.runners.runner_app import HEALTH, create_runner_app
from support.access.asking import Asked, asked
from support.access.people import NAMESPACES, Place
from support.access.promise import PAGE, Line, holders, lines
from support.access.stored import Stored
from support.access.things import Things, source
from support.access.ways import WHO, YES, Way, ways
from support.notebooks import text
from support.routes import everything, routes

pytestmark = pytest.mark.integration
LINES = lines()
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def test_every_route_has_its_line_and_every_line_its_route(service: Place) -> None:
    answered = set(everything(service.app, service.app.state.runtime.hub_settings.prefix))

    assert answered - set(LINES) == set(), f"add a line to {PAGE.name} that tells who may ask for it"
    assert set(LINES) - answered == set(), f"lines of {PAGE.name} without a route"
    rights = {right for held in holders().values() for right in held}
    unknown = {line.needs for line in LINES.values() if "session" in line.taken} - rights
    assert unknown == set(), "what a line needs is a column of the first table"


def test_the_process_for_runners_answers_what_runners_ask_and_nothing_else(service: Place) -> None:
    answered = routes(create_runner_app(service.app.state.runner_api))

    of_runners = {route for route, line in LINES.items() if line.taken == "attempt token"}
    assert set(answered) == {*of_runners, ("GET", HEALTH)}


def send(client: httpx.Client, line: Line, request: Asked, way: Way) -> httpx.Response:
    """Send a request in one way, as its route takes it: a JSON document, a form, or bytes."""
    body = {"content": request.body} if isinstance(request.body, bytes) else {"json": request.body}
    if line.taken == "session":
        body = {"data": {**(request.body or {}), **way.fields}}
    elif request.body is None:
        body = {}
    headers = {**request.headers, **way.headers} if way.leads == YES else {**way.headers}
    return client.request(
        line.method, request.path, params=request.query, headers=headers, **body  # type: ignore[arg-type]
    )  # fmt: skip


def outcome(answer: httpx.Response) -> str:
    """Return what a request led to."""
    if answer.status_code == 302 and "/oauth2/authorize?" in answer.headers["location"]:
        return WHO
    return YES if answer.status_code < 400 else str(answer.status_code)


def leaked(answer: httpx.Response, request: Asked, things: dict[str, Things]) -> list[str]:
    """Return what of the namespaces an answer tells that the sender did not know."""
    known = request.known()
    text = answer.text + repr(answer.headers)
    return [word for one in things.values() for word in one.private() if word in text and word not in known]


def _questions() -> list[Any]:
    """Every route about every namespace; a quick run asks each route about one of them, in turn."""
    return [
        pytest.param(
            f"{method} {path}",
            namespace,
            marks=() if place % len(NAMESPACES) == turn else pytest.mark.slow,
            id=f"{method} {path}-{namespace}",
        )
        for place, (method, path) in enumerate(LINES)
        for turn, namespace in enumerate(NAMESPACES)
    ]


@pytest.mark.parametrize(("route", "namespace"), _questions())
def test_a_route_answers_those_who_may_and_tells_and_does_nothing_for_others(
    route: str, namespace: str, service: Place, things: dict[str, Things], store: Stored, client: httpx.Client
) -> None:
    method, _, path = route.partition(" ")
    line, mine = LINES[method, path], things[namespace]
    request = asked(method, path, mine)
    files = store.files()
    for way in ways(line, service, mine, request):
        answer = send(client, line, request, way)
        said = f"{route} by {way.description}: {answer.status_code} {answer.text[:300]}"
        assert outcome(answer) == way.leads, said
        if way.leads != YES:
            assert answer.status_code in (302, 401, 403), said
            assert not store.changed(), f"{said}: refused, and yet something was stored"
        if not way.reads:
            assert leaked(answer, request, things) == [], said
        if way.leads == YES and store.changed():
            store.go_back()
            files = store.files()
        else:
            assert store.files() == files, said


@pytest.mark.parametrize("path", sorted({path for _, path in LINES}))
def test_a_method_that_a_route_does_not_have_does_nothing(
    path: str, service: Place, things: dict[str, Things], store: Stored, client: httpx.Client
) -> None:
    mine = things["team/risk"]
    wanted = asked("GET", path, mine)
    headers = {"Authorization": f"token {service.people['root'].token}"}
    for method in _METHODS:
        if not any(method == line.method and _alike(path, line.path) for line in LINES.values()):
            answer = client.request(method, wanted.path, headers=headers)
            assert answer.status_code in (404, 405), f"{method} {wanted.path}: {answer.text[:300]}"
            assert not store.changed(), f"{method} {wanted.path}"


def _alike(path: str, other: str) -> bool:
    """Return whether an address may be of both routes: parameters stand for anything."""
    pairs = list(zip(path.split("/"), other.split("/"), strict=False))
    same = path.count("/") == other.count("/") or other.startswith("/static")
    return same and all(one == two or "{" in one + two for one, two in pairs)


LISTS = [
    path
    for (method, path), line in LINES.items()
    if method == "GET" and "{" not in path and line.needs in ("read", "sign-in")
]
"""What is asked without a thing's id, and shows what one may read."""


@pytest.mark.parametrize("path", LISTS)
def test_a_list_tells_people_what_they_may_read_and_nothing_else(
    path: str, service: Place, things: dict[str, Things], client: httpx.Client
) -> None:
    query = {} if LINES["GET", path].needs == "read" else asked("GET", path, things["team/risk"]).query
    for person in service.people.values():
        token = {"Authorization": f"token {person.token}"}
        headers = token if path.startswith("/api/") else {"Cookie": person.cookie}
        answer = client.get(path, params=query, headers=headers)
        assert answer.status_code < 500
        if "read" not in holders()[person.kind]:
            assert leaked(answer, Asked(path, query), things) == [], answer.text[:300]
            assert not any(namespace in answer.text for namespace in NAMESPACES), answer.text[:300]


@pytest.mark.parametrize("way", ["resume", "restart"])
def test_going_on_with_another_notebook_needs_the_right_to_change_the_job(
    way: str, service: Place, things: dict[str, Things], store: Stored, client: httpx.Client
) -> None:
    mine = things["team/risk"]
    request = {"notebook": text(source("fixed"))}
    outcomes = {}
    for person in service.people.values():
        headers = {"Authorization": f"token {person.token}"}
        answer = client.post(f"/api/v1/runs/{mine.ids['run']}/{way}", json=request, headers=headers)
        outcomes[person.kind] = answer.status_code
        assert store.changed() is (answer.status_code == 201)
        store.go_back()
    refused = {"stranger": 403, "reader": 403, "member": 403}
    assert outcomes == {**refused, "owner": 201, "administrator": 201}


def test_a_job_follows_only_others_that_its_owner_may_read(
    service: Place, things: dict[str, Things], store: Stored, client: httpx.Client
) -> None:
    headers = {"Authorization": f"token {service.people['bob'].token}"}
    own = {"name": "own", "notebook": text(source("own"))}
    client.post("/api/v1/versions", json=own, headers=headers).raise_for_status()
    store.changed()
    for wanted in ({"upstream": [mine.job]} for mine in things.values()):
        answer = client.put("/api/v1/dependencies", json={"job": "own", **wanted}, headers=headers)
        assert (answer.status_code, store.changed()) == (403, False)
    store.go_back()


def test_the_runner_of_an_ended_attempt_is_told_to_stop(
    things: dict[str, Things], store: Stored, client: httpx.Client
) -> None:
    mine = things["team/risk"]
    ended = mine.ids["ended"]
    headers = {"Authorization": f"Bearer {mine.tokens[ended]}"}
    for (method, path), line in LINES.items():
        if line.taken == "attempt token":
            request = asked(method, path, mine, attempt=ended)
            body = {"content": request.body} if isinstance(request.body, bytes) else {"json": request.body}
            answer = client.request(method, request.path, headers=headers, **body)  # type: ignore[arg-type]
            assert (answer.status_code, store.changed()) == (410, False), f"{method} {path}: {answer.text}"
