"""The heartbeats of a running run, sent all the while that something else happens to its service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from support.lonely import LonelyService
from support.pressure import unhindered
from support.runners import PlayedRunner

REFUSED = 60.0
"""Seconds that a heartbeat counts for which was refused or not answered."""


@contextmanager
def heartbeats(service: LonelyService, runner: PlayedRunner) -> Iterator[list[float]]:
    """Beat where runners are heard; yields how long each heartbeat waited for the service, in seconds."""
    waits: list[float] = []
    over = threading.Event()
    address = f"{service.runner_url}/runner/{runner.attempt}/heartbeat"

    def beat() -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {runner.token}"}, timeout=REFUSED) as client:
            while not waits or not over.wait(0.05):
                began = unhindered()
                try:
                    answered = client.post(address).status_code == 200
                except httpx.HTTPError:
                    answered = False
                waits.append(unhindered() - began if answered else REFUSED)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()
