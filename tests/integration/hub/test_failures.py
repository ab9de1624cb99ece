"""Requests that go wrong, as the service's log and its next caller see them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from respawn_kernels.digest import digest_of
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.service import served
from support.waiting import wait_for

pytestmark = pytest.mark.integration


def test_a_runner_that_dies_in_an_upload_is_no_error_of_the_services(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    with served(ledger, tmp_path) as url:
        address = urlsplit(url)
        path = f"{address.path}/runner/{runner.attempt}/blobs/{digest_of(b'whole')}"
        head = (
            f"PUT {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {runner.token}\r\nContent-Length: 5"
        )
        with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
            connection.sendall(f"{head}\r\n\r\nwh".encode())
            wait_for(_uploading(tmp_path), 20, "the upload to begin")
        wait_for(lambda: "broken off by its sender" in caplog.text, 20, "the service to notice")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    wait_for(lambda: not _uploading(tmp_path)(), 20, "the service to close what came of it")
    assert list((tmp_path / "uploads").iterdir()) == []


def _uploading(data: Path) -> Callable[[], bool]:
    """Return whether this process, in which the service runs, has a file open in the directory of uploads."""
    uploads = str(data / "uploads")
    return lambda: any(
        _leads_to(descriptor).startswith(uploads) for descriptor in Path("/proc/self/fd").iterdir()
    )


def _leads_to(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:  # closed since it was listed
        return ""


def test_a_method_that_an_address_does_not_take_is_told_which_it_takes(
    ledger: Ledger, tmp_path: Path
) -> None:
    with served(ledger, tmp_path) as url:
        answers = {
            path: httpx.request("TRACE", f"{url}/{path}")
            for path in (
                "api/v1/runs",
                "api/v1/whoami",
                "runner/att-x/blobs/0",
                "static/respawn.css",
                "sign-out",
            )
        }
    assert {answer.status_code for answer in answers.values()} == {405}
    assert {path: answer.headers["Allow"] for path, answer in answers.items()} == {
        "api/v1/runs": "GET, POST",
        "api/v1/whoami": "GET",
        "runner/att-x/blobs/0": "GET, PUT",
        "static/respawn.css": "GET, HEAD",
        "sign-out": "POST",
    }


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[" * 100_000, b'{"skeleton": "\xe9"}', b"{", b""])
def test_a_body_that_cannot_be_read_is_wrong_input_like_any_other(
    ledger: Ledger, tmp_path: Path, body: bytes
) -> None:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer x"}
    with served(ledger, tmp_path) as url:
        answer = httpx.post(f"{url}/runner/att-x/begin", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) in [(422, "invalid_input"), (401, "unauthenticated")]
