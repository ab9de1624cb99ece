"""Nobody can fill the service's memory, or keep it from hearing its runners."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from respawn_jobs.model.runs import CellState
from respawn_jobs.remote.client import RemoteRunner
from respawn_kernels.digest import digest_of, digest_of_file
from support.lonely import TOKEN, LonelyService, lonely_service, silent_hub
from support.runners import PlayedRunner
from support.waiting import wait_for

from .conftest import at_work

pytestmark = pytest.mark.integration
MEGABYTE = 1 << 20
JSON = {"Content-Type": "application/json"}


def sent(megabytes: int, head: bytes = b"", tail: bytes = b"") -> Iterator[bytes]:
    """A body that comes in pieces, its length untold."""
    yield head
    for _ in range(megabytes):
        yield b"a" * MEGABYTE
    yield tail


@pytest.mark.long
def test_a_body_from_nobody_is_refused_unread(service: LonelyService) -> None:
    before = service.peak()
    for headers in ({}, {"Authorization": "token made-up"}):
        body = sent(200, b'{"name":"x","notebook":"', b'"}')
        answer = httpx.post(f"{service.url}/api/v1/versions", content=body, headers={**JSON, **headers})
        assert answer.status_code == 401

    assert service.peak() - before < 40


@pytest.mark.long
def test_a_runners_body_with_a_wrong_token_is_refused_unread(
    service: LonelyService, runner: PlayedRunner
) -> None:
    before = service.peak()
    headers = {**JSON, "Authorization": "Bearer made-up"}
    for call in ("begin", "record", "missing", "checkpoint", "finish"):
        url = f"{service.url}/runner/{runner.attempt}/{call}"
        assert httpx.post(url, content=sent(100), headers=headers).status_code == 401

    assert service.peak() - before < 40


def test_a_form_without_a_session_is_refused_unread(service: LonelyService, tmp_path: Path) -> None:
    before = service.peak()
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Sec-Fetch-Dest": "empty"}
    head = b'--b\r\nContent-Disposition: form-data; name="kept"\r\n\r\n'
    for path in ("runs/run-0123456789/resume", "jobs/user/ada/report/run", "sign-out"):
        answer = httpx.post(f"{service.url}/{path}", content=sent(100, head, b"\r\n--b--"), headers=headers)
        assert answer.status_code == 401

    assert service.peak() - before < 40


def test_a_body_over_its_limit_is_refused_and_the_limit_told(
    service: LonelyService, runner: PlayedRunner
) -> None:
    ada = {**JSON, "Authorization": f"token {TOKEN}"}
    url = f"{service.url}/api/v1/versions"
    told = httpx.post(url, content=b"a" * (65 * MEGABYTE), headers=ada)
    untold = httpx.post(url, content=sent(65), headers=ada)
    own = {**JSON, "Authorization": f"Bearer {runner.token}"}
    runners = httpx.post(f"{service.url}/runner/{runner.attempt}/record", content=sent(17), headers=own)

    assert [answer.status_code for answer in (told, untold, runners)] == [413, 413, 413]
    assert "64 MiB" in told.json()["message"]
    assert "64 MiB" in untold.json()["message"]
    assert "16 MiB" in runners.json()["message"]


@pytest.mark.long
def test_a_large_blob_goes_through_and_never_into_memory(
    service: LonelyService, runner: PlayedRunner, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(MEGABYTE))
    digest = digest_of_file(large)
    before = service.peak()
    port = RemoteRunner(service.url, runner.attempt, runner.token)
    port.put_blob(digest, large)
    port.record([runner.event(0, CellState.PENDING, outputs=digest)])
    port.close()
    url = f"{service.url}/api/v1/runs/{runner.run}/blobs/{digest}"
    fetched = tmp_path / "fetched"
    with (
        httpx.stream("GET", url, headers={"Authorization": f"token {TOKEN}"}) as answer,
        fetched.open("wb") as file,
    ):
        assert answer.status_code == 200
        for piece in answer.iter_bytes():
            file.write(piece)

    assert digest_of_file(fetched) == digest
    assert service.peak() - before < 80


def test_a_damaged_blob_is_never_taken_for_a_whole_one(
    service: LonelyService, runner: PlayedRunner, data: Path
) -> None:
    port = RemoteRunner(service.url, runner.attempt, runner.token)
    content = b"precious " * 1000
    digest = digest_of(content)
    port.put_blob(digest, content)
    port.record([runner.event(1, CellState.PENDING, outputs=digest)])
    port.close()
    stored = data / "blobs" / digest[:2] / digest
    url = f"{service.url}/api/v1/runs/{runner.run}/blobs/{digest}"
    ada = {"Authorization": f"token {TOKEN}"}

    assert httpx.get(url, headers=ada).content == content
    stored.write_bytes(content[:-1] + b"x")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url, headers=ada)
    stored.unlink()
    assert httpx.get(url, headers=ada).status_code == 404


@pytest.mark.long
def test_a_runner_is_heard_while_people_wait_for_a_hub_that_does_not_answer(tmp_path: Path) -> None:
    ended = threading.Event()
    runner = at_work(tmp_path)

    def ask(url: str, number: int) -> None:
        while not ended.is_set():
            httpx.get(f"{url}/api/v1/whoami", headers={"Authorization": f"token x{number}"}, timeout=60)

    with silent_hub() as hub, lonely_service(tmp_path, hub) as service:
        crowd = [threading.Thread(target=ask, args=(service.url, number)) for number in range(60)]
        for person in crowd:
            person.start()
        port = RemoteRunner(service.url, runner.attempt, runner.token)
        try:
            wait_for(lambda: service.connections() >= len(crowd), 30, "the crowd")
            for _ in range(20):
                assert port.heartbeat().command == "continue"
            # The crowd is still there: nobody of it was answered before the hub's time was over.
            assert httpx.get(f"{service.url}/api/v1/health", timeout=5).status_code == 200
        finally:
            port.close()
            ended.set()
            wait_for(lambda: not any(person.is_alive() for person in crowd), 60, "the crowd's answers")
