"""Names of things that exist, mutated, over all routes: nothing breaks, nothing of others is reached."""

from __future__ import annotations

import http.client
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from respawn_hub.auth.dependencies import FORM_FIELD
from respawn_hub.auth.sessions import SESSION, Sessions
from respawn_hub.startup.settings import Settings
from respawn_hub.startup.store import open_ledger
from respawn_jobs.clock import utc_now
from support.access.altered import altered, like
from support.access.asking import Asked, asked
from support.access.stored import Stored, stored
from support.access.things import Things, settle
from support.lonely import answering_hub
from support.routes import routes
from support.service import served

pytestmark = pytest.mark.integration
PEOPLE = {
    "token-of-bob": ("bob", ["custom:respawn:edit!user=bob"]),
    "token-of-root": ("root", ["custom:respawn:admin"]),
}
LOOPS = "/api/v1/health"
"""Tells, with 503, that the loops do not run, which they do not here."""
ROUTES = [(method, path) for method, path in routes() if path not in ("/oauth_callback", LOOPS)]
QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
LONG = 5_000


@dataclass(repr=False)
class World:
    """The service, bob's things and ada's, and how bob and root come."""

    url: str
    mine: Things
    theirs: Things
    store: Stored
    sessions: Sessions
    data: Path

    @cached_property
    def theirs_first(self) -> list[str]:
        """What `theirs_now` tells while nothing has changed."""
        return self.theirs_now()

    def theirs_now(self) -> list[str]:
        """Return all rows of the database that tell of ada's things."""
        known = [*self.theirs.ids.values(), self.theirs.namespace, self.theirs.word]
        with sqlite3.connect(self.data / "respawn.db", timeout=30) as connection:
            tables = [
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
            ]
            rows = [
                repr((name, row)) for name in tables for row in connection.execute(f'SELECT * FROM "{name}"')
            ]
        connection.close()
        return sorted(row for row in rows if any(one in row for one in known))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data, inbox, scratch = (tmp_path_factory.mktemp(name) for name in ("data", "inbox", "scratch"))
    of_service = Settings(data=data, inbox_url=str(inbox))
    ledger = open_ledger(of_service)
    mine = settle(ledger, "user/bob", "numbatnumbat", scratch)
    theirs = settle(ledger, "user/ada", "quokkaquokka", scratch)
    sessions = Sessions(of_service.keyring(utc_now), path="/services/respawn/", secure=False, seconds=10_000)
    with (
        answering_hub(PEOPLE) as port,
        served(ledger, data, hub_port=port, settings=of_service) as url,
        stored(data) as store,
    ):
        found = World(url, mine, theirs, store, sessions, data)
        assert found.theirs_first, "ada has things"
        yield found
    ledger.close()


@dataclass(frozen=True)
class Sent:
    """A request as it goes over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None

    def said(self) -> str:
        """Return what the sender knows."""
        return self.target + (self.body or b"").decode("latin-1") + repr(self.headers)


@st.composite
def sent(draw: st.DrawFn, world: World, token: str) -> Sent:
    """Draw a request of somebody, for a route, about things that exist or nearly do."""
    method, path = draw(st.sampled_from(ROUTES))
    about = draw(like(world.mine, world.theirs))
    request = asked(method, path, about, quoted=draw(st.booleans()))
    query = dict(request.query)
    if draw(st.integers(0, 3)) == 0:
        runs = [world.mine.ids["run"], world.theirs.ids["run"], "2026-03-01T03:00:00Z", "2026-03-01"]
        name = draw(
            st.sampled_from(["before", "job", "namespace", "state", "limit", "number", "index", "state"])
        )
        query[name] = draw(altered(draw(st.sampled_from(runs)), [*runs, world.mine.job, world.theirs.job]))
    headers, body = _as_taken(world, path, request, about, token, revision=draw(st.sampled_from(REVISIONS)))
    target = request.path + ("?" + urlencode(query, errors="surrogatepass") if query else "")
    return Sent(method, target, headers, body)


REVISIONS = [None, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 1.5, "1", "٣", True]


def _as_taken(
    world: World, path: str, request: Asked, about: Things, token: str, revision: object
) -> tuple[dict[str, str], bytes | None]:
    """Return the headers and the body of a request, as its route takes them."""
    headers = dict(request.headers)
    if path.startswith("/runner/"):
        own = world.mine.tokens
        headers["Authorization"] = f"Bearer {own.get(about.ids['attempt']) or next(reversed(own.values()))}"
    elif path.startswith(("/api/", "/metrics", "/hooks/")):
        headers["Authorization"] = f"token {token}"
    else:
        cookie = Response()
        world.sessions.open(cookie, token)
        headers["Cookie"] = cookie.headers["set-cookie"].partition(";")[0]
        assert headers["Cookie"].startswith(SESSION)
        fields = {**(request.body or {}), "revision": revision, FORM_FIELD: world.sessions.form_token(token)}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return headers, urlencode(fields, errors="surrogatepass").encode()
    if request.body is None or isinstance(request.body, bytes):
        return headers, request.body
    body = request.body
    if path.endswith(("/cancel", "/retry", "/resume", "/restart", "/plan")):
        body = {**body, "revision": revision}
    return {**headers, "Content-Type": "application/json"}, json.dumps(body).encode()


def answered(world: World, request: Sent) -> tuple[int, str]:
    """Send a request; of a stream, only what comes first is read."""
    place = urlsplit(world.url)
    connection = http.client.HTTPConnection(place.netloc, timeout=60)
    try:
        connection.putrequest(request.method, place.path + request.target, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value.encode("latin-1", "replace"))
        if request.body is not None:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        answer = connection.getresponse()
        streams = answer.getheader("Content-Type", "").startswith("text/event-stream")
        content = answer.read1(4000) if streams else answer.read()
        return answer.status, content.decode("utf-8", "replace") + repr(answer.getheaders())
    finally:
        connection.close()


def judge(world: World, request: Sent, *, everything: bool) -> None:
    """Send a request and say whether its answer, and what it did, are right."""
    status, text = answered(world, request)
    assert status < 500, text
    if status >= 400:
        assert not world.store.changed(), f"refused with {status}, and yet something was stored"
        return
    changed = world.store.changed()
    try:
        if not everything:
            told = [one for one in world.theirs.private() if one in text and one not in request.known()]
            assert told == [], "somebody else's data"
            assert not changed or world.theirs_now() == world.theirs_first, "somebody else's things changed"
    finally:
        if changed:
            world.store.go_back()


@settings(QUICK, max_examples=250)
@given(st.data())
def test_nobody_reaches_what_is_somebody_elses_by_a_name_that_nearly_fits(
    world: World, data: st.DataObject
) -> None:
    judge(world, data.draw(sent(world, "token-of-bob")), everything=False)


@pytest.mark.long
@settings(QUICK, max_examples=100)
@given(st.data())
def test_an_administrator_breaks_nothing_by_a_name_that_nearly_fits(
    world: World, data: st.DataObject
) -> None:
    judge(world, data.draw(sent(world, "token-of-root")), everything=True)


def _altered_texts(document: Any, put: str) -> Iterator[Any]:
    """Yield a document as often as it has texts, each time with another one of them changed."""
    if isinstance(document, str):
        yield document + put
    elif isinstance(document, dict):
        for key, value in document.items():
            yield {**document, key + put: value}
            yield from ({**document, key: other} for other in _altered_texts(value, put))
    elif isinstance(document, list):
        for place, value in enumerate(document):
            others = _altered_texts(value, put)
            yield from ([*document[:place], other, *document[place + 1 :]] for other in others)


@pytest.mark.parametrize(
    "put", ["\ud800", "\0", "\udfff\ud800"], ids=["half a pair", "NUL", "a pair backwards"]
)
def test_no_text_of_a_document_breaks_the_service(world: World, put: str) -> None:
    runner = world.mine.tokens[world.mine.ids["attempt"]]
    for method, path in ROUTES:
        request = asked(method, path, world.mine)
        if not isinstance(request.body, dict | list) or not path.startswith(("/api/", "/runner/")):
            continue
        token = runner if path.startswith("/runner") else "token-of-root"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        target = request.path + ("?" + urlencode(request.query) if request.query else "")
        for body in _altered_texts(request.body, put):
            judge(world, Sent(method, target, headers, json.dumps(body).encode()), everything=True)


@pytest.mark.slow  # some minutes: what a quick look does not meet
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("token", PEOPLE)
def test_names_that_nearly_fit_in_many_tries(world: World, token: str) -> None:
    @settings(QUICK, max_examples=LONG)
    @given(st.data())
    def tried(data: st.DataObject) -> None:
        judge(world, data.draw(sent(world, token)), everything=token == "token-of-root")

    tried()
