"""Peers that send or read slowly, or not at all: they change nothing for others, and are let go."""

from __future__ import annotations

import http.client
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from respawn_hub.app import create_app
from respawn_hub.startup.settings import HubSettings, Settings
from respawn_hub.web.connection_deadlines import ConnectionDeadlines, server_config
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import CellState
from respawn_jobs.remote.client import RemoteRunner
from respawn_kernels.digest import digest_of
from support.heartbeats import heartbeats
from support.lonely import TOKEN, LonelyService
from support.runners import PlayedRunner
from support.service import running
from support.waiting import meanwhile, rest, wait_for

pytestmark = pytest.mark.integration
CROWD = 300
MEGABYTE = 1 << 20
PREFIX = "/services/respawn"

Request = Callable[[PlayedRunner], bytes]
SLOW: dict[str, Request] = {
    "nothing": lambda _: b"",
    "half a head": lambda _: f"GET {PREFIX}/api/v1/jobs HTTP/1.1\r\nHost: x\r\nX-A: ".encode(),
    "half a body": lambda _: (
        f"POST {PREFIX}/api/v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: token {TOKEN}\r\n"
        "Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"
    ).encode(),
    "half a form": lambda _: (
        f"POST {PREFIX}/jobs/user/ada/report/run HTTP/1.1\r\nHost: x\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 60000\r\n\r\n--b\r\n"
    ).encode(),
    "half a chunk": lambda _: (
        f"POST {PREFIX}/api/v1/runs/import HTTP/1.1\r\nHost: x\r\nAuthorization: token {TOKEN}\r\n"
        "Transfer-Encoding: chunked\r\n\r\nffff\r\nPK"
    ).encode(),
    "half a blob": lambda runner: (
        f"PUT {PREFIX}/runner/{runner.attempt}/blobs/{'0' * 64} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {runner.token}\r\nContent-Length: 60000\r\n\r\nx"
    ).encode(),
}


def connected(url: str, request: bytes = b"", *, room: int | None = None) -> socket.socket:
    """Connect and send; `room` is how many bytes of an answer the system may take on."""
    parts = urlsplit(url)
    peer = socket.socket()
    if room is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    peer.settimeout(30)
    peer.connect((parts.hostname, parts.port))
    peer.sendall(request)
    return peer


@contextmanager
def crowd(url: str, requests: list[bytes], **options: int) -> Iterator[list[socket.socket]]:
    """Hold many connections that have each sent a beginning."""
    with ExitStack() as stack:
        yield [stack.enter_context(connected(url, request, **options)) for request in requests]


def seconds_of(client: httpx.Client, address: str, method: str = "GET") -> float:
    began = time.monotonic()
    answer = client.request(method, address)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began


def waits(service: LonelyService, runner: PlayedRunner) -> dict[str, float]:
    """Return the median seconds of a page, of a call and of heartbeats, at both doors."""
    ada, own = {"Authorization": f"token {TOKEN}"}, {"Authorization": f"Bearer {runner.token}"}
    beat = f"/runner/{runner.attempt}/heartbeat"
    with httpx.Client(headers=ada, timeout=30) as person, httpx.Client(headers=own, timeout=30) as beating:
        asked = {
            "health": lambda: seconds_of(person, f"{service.url}/api/v1/health"),
            "jobs": lambda: seconds_of(person, f"{service.url}/api/v1/jobs"),
            "heartbeat": lambda: seconds_of(beating, f"{service.runner_url}{beat}", "POST"),
            "heartbeat beside people": lambda: seconds_of(beating, f"{service.url}{beat}", "POST"),
        }
        return {name: statistics.median(ask() for _ in range(15)) for name, ask in asked.items()}


@pytest.mark.long
@pytest.mark.parametrize("door", ["people", "runners"])
def test_three_hundred_slow_senders_change_nothing_for_others(
    service: LonelyService, runner: PlayedRunner, door: str
) -> None:
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    url, prefix = (service.url, PREFIX) if door == "people" else (service.runner_url, "")
    beginnings = [make(runner).replace(PREFIX.encode(), prefix.encode()) for make in SLOW.values()]
    before = waits(service, runner)
    with heartbeats(service, runner) as beats, crowd(url, draw.choices(beginnings, k=CROWD)) as peers:
        over = threading.Event()

        def trickle() -> None:
            while not over.wait(0.05):
                for peer in draw.sample(peers, 10):
                    try:
                        peer.send(b"a")
                    except OSError:  # one of those that were refused
                        continue

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            during = waits(service, runner)
        finally:
            over.set()
            thread.join()
    assert max(beats) < 2, f"seed {seed}"
    for name, seconds in during.items():
        assert seconds < 5 * before[name] + 0.1, f"seed {seed}, {name}: {before[name]:.3f}, {seconds:.3f}"


@pytest.mark.long
def test_three_hundred_slow_readers_change_nothing_for_others(
    service: LonelyService, runner: PlayedRunner
) -> None:
    content = random.randbytes(4 * MEGABYTE)
    digest = digest_of(content)
    port = RemoteRunner(service.runner_url, runner.attempt, runner.token)
    port.put_blob(digest, content)
    port.record([runner.event(0, CellState.PENDING, outputs=digest)])
    port.close()
    head = f"GET {PREFIX}/api/v1/runs/{runner.run}/blobs/{digest} HTTP/1.1\r\nHost: x\r\n"
    request = f"{head}Authorization: token {TOKEN}\r\n\r\n".encode()
    before, peak = waits(service, runner), service.peak()
    with heartbeats(service, runner) as beats, crowd(service.url, [request] * CROWD, room=4096):
        wait_for(lambda: service.connections() >= CROWD, 30, "the crowd")
        during = waits(service, runner)
        grown = service.peak() - peak
    assert max(beats) < 2
    for name, seconds in during.items():
        assert seconds < 5 * before[name] + 0.1, f"{name}: {before[name]:.3f}, {seconds:.3f}"
    assert grown < CROWD, "each waits with less than a megabyte of its answer"


class Impatient(ConnectionDeadlines):
    """The same deadlines, within a test."""

    HEAD_SECONDS = BODY_SECONDS = ANSWER_SECONDS = 1.0
    LOOK_SECONDS = 0.2


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service with short deadlines; nothing is dispatched."""
    data = tmp_path_factory.mktemp("impatient")
    ledger = Ledger.embedded(data)
    listener = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    hub = HubSettings(
        api_token="x", api_url=f"{origin}/hub/api", client_id="service-respawn", service_url=origin
    )
    config = server_config(create_app(Settings(data=data), hub, ledger=ledger), lifespan="off")
    config.http = Impatient
    with listener, running(uvicorn.Server(config), listener):
        yield f"{origin}{PREFIX}"
    ledger.close()


def closed(peer: socket.socket) -> bytes:
    """Wait until the service lets a peer go; return what it said."""
    said = b""
    try:
        while piece := peer.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


@pytest.mark.parametrize("name", ["nothing", "half a head", "half a form"])
def test_a_beginning_that_is_not_gone_on_with_is_let_go(
    impatient: str, runner: PlayedRunner, name: str
) -> None:
    began = time.monotonic()
    with connected(impatient, SLOW[name](runner)) as peer:
        said = closed(peer)
    assert 0.9 < time.monotonic() - began < 10
    assert b" 408 " in said or b" 401 " in said


def trickled(peer: socket.socket, seconds: float) -> bool:
    """Send letter by letter; tell whether the service let the peer go within so many seconds."""
    for _ in meanwhile(seconds, 0.05):
        try:
            peer.send(b"a")
        except OSError:
            return True
    return False


def test_a_head_that_comes_letter_by_letter_is_let_go(impatient: str) -> None:
    with connected(impatient, b"GET / HTTP/1.1\r\nX-A: ") as peer:
        assert trickled(peer, 10)


def test_a_body_that_comes_letter_by_letter_is_let_go_although_it_was_refused(impatient: str) -> None:
    head = f"POST {PREFIX}/api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
    with connected(impatient, head.encode()) as peer:
        assert b" 401 " in peer.recv(65536)
        assert trickled(peer, 10)


@pytest.mark.long
def test_requests_that_rest_between_each_other_are_all_answered(impatient: str) -> None:
    with connected(impatient) as peer:
        for pause in (0.0, 1.5, 6.0):  # uvicorn's own limit is five seconds
            rest(pause)
            peer.sendall(f"GET {PREFIX}/static/page.js HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert _answer(peer) == 200


def _answer(peer: socket.socket) -> int:
    """Read one answer to its end; returns its status."""
    answer = http.client.HTTPResponse(peer)
    answer.begin()
    answer.read()
    return answer.status


@pytest.mark.long
def test_a_page_is_let_go_when_nobody_reads_it(impatient: str) -> None:
    request = f"GET {PREFIX}/static/page.js HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with connected(impatient, request * 2000, room=4096) as peer:
        wait_for(lambda: _gone(peer), 20, "the end of the connection")


def _gone(peer: socket.socket) -> bool:
    try:
        peer.send(b"GET /")
    except OSError:
        return True
    return False
