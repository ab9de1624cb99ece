"""The hub's service on a port of its own, without a hub, and without its loops unless asked for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import uvicorn
from fastapi import FastAPI

from respawn_hub.app import create_app
from respawn_hub.settings import HubSettings, Settings
from respawn_jobs.ledger import Ledger
from support.waiting import wait_for


@contextmanager
def serving(application: Callable[[str], FastAPI], *, lifespan: Literal["on", "off"]) -> Iterator[str]:
    """Serve an application, which is told its origin; yields the origin. With a lifespan its loops run."""
    listener = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(application(origin), lifespan=lifespan, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive(), 30, "the service")
        assert server.started, "the service did not start"
        yield origin
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def hub_settings(origin: str) -> HubSettings:
    """Return what a hub would tell a service at this origin; no hub answers there."""
    return HubSettings(
        api_token="not-used", api_url=f"{origin}/hub/api", client_id="service-respawn", service_url=origin
    )


@contextmanager
def served(ledger: Ledger, data: Path) -> Iterator[str]:
    """Serve a ledger over HTTP; yields the service's URL. Nothing is scheduled or dispatched."""

    def application(origin: str) -> FastAPI:
        return create_app(Settings(data=data), hub_settings(origin), ledger=ledger)

    with serving(application, lifespan="off") as origin:
        yield f"{origin}/services/respawn"
