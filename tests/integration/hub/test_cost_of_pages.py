"""What a form or a query costs follows from its size, on every page, and costs nobody else anything."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response

from respawn_hub.auth.sessions import Sessions
from respawn_hub.startup.settings import Settings
from support.heartbeats import heartbeats
from support.lonely import TOKEN, LonelyService, cost
from support.routes import routes
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
KILOBYTE, MEGABYTE = 1 << 10, 1 << 20
WORDS = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=b"
FIELD = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\n\r\n%s\r\n'


def _words(size: int, token: str, piece: str) -> bytes:
    return (f"_form_token={token}&" + piece * (size // len(piece))).encode()


def _parts(size: int, token: str, piece: bytes) -> bytes:
    return FIELD % (b"_form_token", token.encode()) + piece * (size // len(piece)) + b"--b--\r\n"


FORMS: dict[str, tuple[str, Callable[[int, str], bytes]]] = {
    "fields": (WORDS, lambda size, token: _words(size, token, "a=1&")),
    "one long field": (WORDS, lambda size, token: _words(size, token, "x")),
    "escapes": (WORDS, lambda size, token: _words(size, token, "%41")),
    "signs": (WORDS, lambda size, token: _words(size, token, "&")),
    "parts": (PARTS, lambda size, token: _parts(size, token, FIELD % (b"a", b"1"))),
    "files": (PARTS, lambda size, token: _parts(size, token, FILE % (b"notebook", b"{}"))),
    "one long part": (PARTS, lambda size, token: _parts(1, token, FIELD % (b"parameters", b"[" * size))),
    "one large file": (PARTS, lambda size, token: _parts(1, token, FILE % (b"notebook", b"[" * size))),
    "a long header": (PARTS, lambda size, token: _parts(1, token, FIELD % (b"x" * size, b"1"))),
}


@pytest.fixture
def ada(data: Path, service: LonelyService) -> Iterator[tuple[httpx.Client, str]]:
    """Ada's browser, signed in to the service, and the token of its forms."""
    sessions = Sessions(Settings(data=data).keyring(), path="/services/respawn/", secure=False, seconds=3600)
    signed_in = Response()
    sessions.open(signed_in, TOKEN)
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    headers = {"Cookie": cookie, "Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    with httpx.Client(headers=headers, timeout=60) as browser:
        yield browser, sessions.form_token(TOKEN)


def filled(path: str, runner: PlayedRunner) -> str:
    """Return a route's path with things that exist, as far as there are such."""
    there = {"run": runner.run, "kind": "user", "owner": "ada", "name": "report", "way": "resume"}
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: there.get(found.group(1), "0"), path)


def forms() -> list[str]:
    """Every page that takes a form."""
    return [
        path for method, path in routes() if method == "POST" and not path.startswith(("/api/", "/runner/"))
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    "size",
    [pytest.param(64 * KILOBYTE, id="64 kB"), pytest.param(MEGABYTE, id="1 MB", marks=pytest.mark.slow)],
)
def test_every_form_bears_every_content(
    service: LonelyService, runner: PlayedRunner, ada: tuple[httpx.Client, str], size: int
) -> None:
    browser, token = ada
    with heartbeats(service, runner) as waits:
        for path in forms():
            if path == "/sign-out":  # it would end the session, and takes nothing else
                continue
            for shape, (kind, made) in FORMS.items():
                body = made(size, token)
                _bearable(service, browser, path, shape, filled(path, runner), body, kind)
    assert max(waits) < 2


def _bearable(
    service: LonelyService, browser: httpx.Client, path: str, shape: str, there: str, body: bytes, kind: str
) -> None:
    """Send a form, and bound what it costs."""
    answer, seconds, grown = cost(
        service, lambda: browser.post(f"{service.url}{there}", content=body, headers={"Content-Type": kind})
    )
    told = f"POST {path}, {shape}: {answer.status_code}, {seconds:.2f} s, {grown} MB"
    assert 300 <= answer.status_code < 500, told
    assert answer.status_code not in (401, 403) or path.startswith("/hooks"), told
    assert seconds < 2, told
    assert grown < 100, told
    assert len(answer.content) < 100_000, told


@pytest.mark.long
@pytest.mark.parametrize("shape", FORMS)
def test_the_largest_form_costs_what_its_size_says(
    service: LonelyService, runner: PlayedRunner, ada: tuple[httpx.Client, str], shape: str
) -> None:
    browser, token = ada
    kind, made = FORMS[shape]
    body = made(60 * MEGABYTE, token)
    there = f"{service.url}/runs/{runner.run}/resume"
    with heartbeats(service, runner) as waits:
        answer, seconds, grown = cost(
            service, lambda: browser.post(there, content=body, headers={"Content-Type": kind})
        )
    assert 300 <= answer.status_code < 500
    assert seconds < 6, f"{seconds:.2f} s"
    assert grown < 500, f"{grown} MB"
    assert max(waits) < 2


QUERIES: dict[str, str] = {
    "states": "&state=queued",
    "wrong states": "&state=%00",
    "numbers": "&limit=" + "9" * 200,
    "names": "&namespace=" + "%2F" * 50,
    "signs": "&",
    "words": "&q=" + "a%20" * 40,
}
_MAX_QUERY = 12_000
"""Characters of a query: a longer head of a request is refused by the server itself."""


@pytest.mark.long
def test_every_page_bears_every_query(
    service: LonelyService, runner: PlayedRunner, ada: tuple[httpx.Client, str]
) -> None:
    browser, _ = ada
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    own = {"Authorization": f"token {TOKEN}"}
    # What the service imports at its first use of a notebook is no cost of a query.
    browser.get(f"{service.url}/api/v1/runs/{runner.run}/notebook", headers=own)
    with heartbeats(service, runner) as waits:
        for method, path in routes():
            if method != "GET" or path.startswith("/runner/") or "events" in path:
                continue
            for shape in draw.sample(list(QUERIES), 2):
                piece = QUERIES[shape]
                query = piece * (_MAX_QUERY // len(piece))
                there = f"{service.url}{filled(path, runner)}?{query[1:]}"
                headers = own if path.startswith("/api/") else {}
                answer, seconds, grown = cost(service, lambda: browser.get(there, headers=headers))  # noqa: B023
                told = f"seed {seed}, GET {path}, {shape}: {answer.status_code}, {seconds:.2f} s, {grown} MB"
                assert answer.status_code < 500, told
                assert seconds < 2, told
                assert grown < 50, told
    assert max(waits) < 2
