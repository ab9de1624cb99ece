"""Requests that no client of ours sends: each is answered, and its connection goes on for others."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from respawn_hub.startup.settings import Settings
from respawn_jobs.ledger import Ledger
from support.lonely import TOKEN, answering_hub
from support.routes import routes
from support.service import whole_service

pytestmark = pytest.mark.integration
NASTY = [
    b"",
    b"\xe9",
    b"token \xe9",
    b"Bearer \xff\xfe",
    b"token " + b"a" * 5000,
    b"token a\tb",
    b"Basic ====",
    b"respawn-session=\xe9; jupyterhub-session-id=\xff",
    b'respawn-session="a\\377"; =;;==',
    b"sha256=" + "é".encode("latin-1"),
    "٣".encode(),
    b"\xb2",
    b"-1",
    b"1e9",
    b"9" * 400,
    b"text/html\xff",
    b"*/*;q=\xe9",
    b"multipart/form-data; boundary=\xff",
    b"multipart/form-data; boundary=",
    b"application/json; charset=utf-7",
    b"application/x-www-form-urlencoded; charset=\xe9",
    b"bytes=5-2",
    b"navigate\xe9",
]
HEADERS = [
    *("Authorization", "Cookie", "X-Form-Token", "webhook-id", "webhook-signature", "webhook-timestamp"),
    *("Content-Type", "Accept", "Accept-Encoding", "Last-Event-ID", "Range", "Origin", "Referer"),
    *("Sec-Fetch-Dest", "Sec-Fetch-Mode", "X-Forwarded-Proto", "X-Forwarded-For", "If-None-Match"),
]
PLACES = ["run-0000000000", "0", "-1", "9" * 30, "%E9", "%00", "%F0%9F%8D%B5", "..", "a%2Fb", "a" * 300]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("data")
    ledger = Ledger.embedded(data)
    with answering_hub() as port, whole_service(Settings(data=data), hub_port=port, ledger=ledger) as url:
        yield url
    ledger.close()


@pytest.fixture
def connection(url: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.connect()
    yield connection
    connection.close()


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes, **headers: bytes
) -> http.client.HTTPResponse:
    """Send bytes as they are through the one connection; the answer is read as far as its head."""
    socket = connection.sock
    connection.putrequest(method, path)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    answer = connection.getresponse()
    assert connection.sock is socket, "the client opened another connection"
    return answer


def still_good(connection: http.client.HTTPConnection, prefix: str) -> bool:
    """Whether somebody else's request goes through the same connection."""
    answer = ask(connection, "GET", f"{prefix}/api/v1/whoami", b"", Authorization=f"token {TOKEN}".encode())
    return bool(json.loads(answer.read())["name"] == "ada")


def streams(path: str) -> bool:
    return path.endswith(("/events", "/live"))


@pytest.mark.parametrize(("method", "path"), routes())
def test_no_header_and_no_path_breaks_the_service_or_its_connection(
    method: str, path: str, connection: http.client.HTTPConnection, url: str
) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(f"{seed} {method} {path}")
    prefix = urlsplit(url).path
    for _ in range(6):
        where = path
        while "{" in where:
            before, _, rest = where.partition("{")
            where = before + chance.choice(PLACES) + rest.partition("}")[2]
        signed_in: dict[str, Any] = (
            {"Authorization": f"token {TOKEN}".encode()} if chance.random() < 0.5 else {}
        )
        nasty = {chance.choice(HEADERS): chance.choice(NASTY) for _ in range(3)}
        query = chance.choice(
            ["", "?limit=%E9", "?before=%00&state=x", "?ref=%FF", "?count=-1&cron=*&tz=%2e%2e"]
        )
        body = chance.choice([b"", b"{}", b"null", b"[[[[", b'{"job": "\\ud800"}', b"\xff\xfe", b"a=%FF&b"])
        if method in ("GET", "DELETE"):
            body = b""
        print(method, where + query, nasty, body)
        answer = ask(connection, method, prefix + where + query, body, **(signed_in | nasty))
        assert answer.status < 500, answer.read()
        assert answer.headers["Cache-Control"], "nobody keeps an answer that is not said to be kept"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        answer.read()
        assert still_good(connection, prefix)
