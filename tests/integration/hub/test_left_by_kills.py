"""A service that is killed in the middle of an upload leaves nothing, or the next one removes it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from support.lonely import TOKEN, answering_hub, lonely_service
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.waiting import wait_for

pytestmark = pytest.mark.integration
HALF = 3 << 20


def begun(url: str, head: str) -> socket.socket:
    """Send half of a body that is twice as long."""
    parts = urlsplit(url)
    sender = socket.create_connection((str(parts.hostname), int(parts.port or 0)))
    sender.sendall(f"{head}\r\nHost: x\r\nContent-Length: {2 * HALF}\r\n\r\n".encode() + bytes(HALF))
    return sender


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and path.name != "lock"]


def held(pid: int, directory: Path) -> bool:
    """Return whether a process has a file of a directory open that has some bytes."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed since it was listed
            if str(descriptor.readlink()).startswith(f"{directory}/") and descriptor.stat().st_size:
                return True
    return False


@pytest.mark.long
def test_halves_of_uploads_and_of_blobs_are_removed_after_a_kill(tmp_path: Path) -> None:
    ledger = Ledger.embedded(tmp_path, lease_seconds=600)
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("1"))))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    ledger.close()
    blob = f"PUT /runner/{runner.attempt}/blobs/{'0' * 64} HTTP/1.1\r\nAuthorization: Bearer {runner.token}"
    archive = f"POST /services/respawn/api/v1/runs/import HTTP/1.1\r\nAuthorization: token {TOKEN}"
    uploads, old = tmp_path / "uploads", tmp_path / "blobs" / "ab" / ".incomplete-old"
    with answering_hub() as hub:
        with (
            lonely_service(tmp_path, hub) as service,
            begun(service.runner_url, blob),
            begun(service.url, archive),
        ):
            both = [service.process.pid, service.hearing().pid]
            wait_for(lambda: all(held(pid, uploads) for pid in both), 30, "both halves")
            service.process.kill()
            service.process.wait(30)
        wait_for(lambda: not files(uploads), 30, "the uploads to be gone")
        young = old.with_name(".incomplete-young")
        old.parent.mkdir(exist_ok=True)
        old.write_bytes(b"half")
        young.write_bytes(b"half")
        os.utime(old, (0, 0))
        with lonely_service(tmp_path, hub):
            wait_for(lambda: not old.exists(), 30, "the half of a blob to be removed")
            assert young.exists(), "somebody may be writing it"
