"""The heartbeats of a running run, sent all the while that something else happens to its service."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from support.lonely import LonelyService
from support.runners import PlayedRunner

REFUSED = 60.0
"""Seconds that a heartbeat counts for which was refused or not answered."""


@contextmanager
def heartbeats(service: LonelyService, runner: PlayedRunner) -> Iterator[list[float]]:
    """Beat where runners are heard; yields how long each heartbeat waited, in seconds."""
    waits: list[float] = []
    over = threading.Event()
    address = f"{service.runner_url}/runner/{runner.attempt}/heartbeat"

    def beat() -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {runner.token}"}, timeout=REFUSED) as client:
            while not waits or not over.wait(0.05):
                began = time.monotonic()
                try:
                    answered = client.post(address).status_code == 200
                except httpx.HTTPError:
                    answered = False
                waits.append(time.monotonic() - began if answered else REFUSED)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()
