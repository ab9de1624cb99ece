"""What a request costs follows from its size, whatever is in it, and costs nobody else anything."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from functools import partial

import httpx
import pytest

from support.heartbeats import heartbeats
from support.lonely import TOKEN, LonelyService, cost
from support.routes import routes
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
KILOBYTE, MEGABYTE = 1 << 10, 1 << 20
PEOPLE = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}


def _filled(size: int, head: str, piece: str, tail: str) -> bytes:
    """A document of about `size` bytes: a head, a piece many times, a tail."""
    return (head + piece * ((size - len(head) - len(tail)) // len(piece)) + tail).encode()


SHAPES: dict[str, Callable[[int], bytes]] = {
    "objects without fields": lambda size: _filled(size, "[{}", ",{}", "]"),
    "lists in a list": lambda size: _filled(size, "[[]", ",[]", "]"),
    "depth": lambda size: _filled(size, "[", "[", ""),
    "strange fields": lambda size: (
        "{" + ",".join(f'"f{number}":0' for number in range(size // 12)) + "}"
    ).encode(),
    "wrong sets": lambda size: _filled(size, '{"job":"report","sets":[0', ",0", "]}"),
    "wrong cells": lambda size: _filled(size, '{"skeleton":"","cells":[{}', ",{}", "]}"),
    "wrong names": lambda size: _filled(size, '{"artifact":{},"checkpoint":{},"blobs":[0', ",0", "]}"),
    "digits": lambda size: _filled(size, "", "9", ""),
    "escapes": lambda size: _filled(size, '{"job":"', '\\"', ""),
}


def documents() -> list[tuple[str, str]]:
    """Every route that takes a document."""
    taken = ("POST", "PUT", "PATCH")
    return [
        (method, path)
        for method, path in routes()
        if method in taken and path.startswith(("/api/", "/runner/")) and "import" not in path
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    "size",
    [pytest.param(64 * KILOBYTE, id="64 kB"), pytest.param(MEGABYTE, id="1 MB", marks=pytest.mark.slow)],
)
def test_every_route_bears_every_document(service: LonelyService, runner: PlayedRunner, size: int) -> None:
    with heartbeats(service, runner) as waits, httpx.Client(timeout=60) as client:
        for method, path in documents():
            for shape, made in SHAPES.items():
                body, of_runner = made(size), path.startswith("/runner/")
                there = path.replace("{attempt}", runner.attempt)
                there = there.replace("{run}", runner.run).replace("{digest}", "0" * 64)
                headers = PEOPLE | ({"Authorization": f"Bearer {runner.token}"} if of_runner else {})

                door = service.runner_url if of_runner else service.url
                send = partial(client.request, method, f"{door}{there}", content=body, headers=headers)
                _bearable(service, send, f"{method} {path}, {shape}", seconds=2, megabytes=100)
    assert max(waits) < 2


def _bearable(
    service: LonelyService, send: Callable[[], httpx.Response], sent: str, *, seconds: float, megabytes: int
) -> None:
    """Send a document, and bound what it costs. A route that reads none of it may do what it does."""
    answer, used, grown = cost(service, send)
    told = f"{sent}: {answer.status_code}, {used:.2f} s, {grown} MB"
    assert 200 <= answer.status_code < 300 or 400 <= answer.status_code < 500, told
    assert used < seconds, told
    assert grown < megabytes, told
    assert len(answer.content) < 20_000, told


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("path", "size"), [("api/v1/backfills", 60 * MEGABYTE), ("runner/{attempt}/begin", 15 * MEGABYTE)]
)
def test_the_largest_document_costs_what_its_size_says(
    service: LonelyService, runner: PlayedRunner, path: str, size: int, shape: str
) -> None:
    body = SHAPES[shape](size)
    of_runner = {"Authorization": f"Bearer {runner.token}"} if path.startswith("runner") else {}
    door = service.runner_url if path.startswith("runner") else service.url
    address = f"{door}/{path.replace('{attempt}', runner.attempt)}"
    with heartbeats(service, runner) as waits:
        answer, seconds, grown = cost(
            service, lambda: httpx.post(address, content=body, headers=PEOPLE | of_runner, timeout=60)
        )
    assert 400 <= answer.status_code < 500
    assert seconds < 5
    assert grown < 100 + 6 * size // MEGABYTE
    assert max(waits) < 3


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), documents())
def test_every_route_bears_every_document_of_its_limit(
    service: LonelyService, runner: PlayedRunner, method: str, path: str
) -> None:
    of_runner = path.startswith("/runner/")
    size = 15 * MEGABYTE if of_runner else 60 * MEGABYTE
    there = path.replace("{attempt}", runner.attempt).replace("{run}", runner.run)
    door = service.runner_url if of_runner else service.url
    headers = PEOPLE | ({"Authorization": f"Bearer {runner.token}"} if of_runner else {})
    with heartbeats(service, runner) as waits, httpx.Client(timeout=60, headers=headers) as client:
        for shape, made in SHAPES.items():
            address = f"{door}{there.replace('{digest}', '0' * 64)}"
            send = partial(client.request, method, address, content=made(size))
            _bearable(service, send, shape, seconds=5, megabytes=100 + 6 * size // MEGABYTE)
    assert max(waits) < 3


@pytest.mark.parametrize("shape", ["members", "cells", "strange fields"])
def test_an_import_document_costs_what_its_size_says(
    service: LonelyService, runner: PlayedRunner, shape: str
) -> None:
    many = 100_000
    inside = {
        "members": {"members": {f"blobs/{number:02x}": 0 for number in range(many)}},
        "cells": {"cells": [{}] * many},
        "strange fields": {f"f{number}": 0 for number in range(many)},
    }[shape]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"kind": "respawn-run", "format": 1, **inside}))
    with heartbeats(service, runner) as waits:
        answer, seconds, grown = cost(
            service,
            lambda: httpx.post(
                f"{service.url}/api/v1/runs/import", content=file.getvalue(), headers=PEOPLE, timeout=60
            ),
        )
    assert answer.status_code == 422, answer.text[:300]
    assert seconds < 3
    assert grown < 100
    assert max(waits) < 2
