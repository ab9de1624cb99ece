"""The hub's service on a port of its own, without a hub: HTTP over a ledger, with or without its loops."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from respawn_hub.app import create_app
from respawn_hub.startup.settings import HubSettings, Settings
from respawn_jobs.ledger import Ledger
from support.made_routes import routes_made
from support.waiting import wait_for


@contextmanager
def served(
    ledger: Ledger, data: Path, *, hub_port: int | None = None, settings: Settings | None = None
) -> Iterator[str]:
    """Serve a ledger over HTTP; yields the service's URL. Nothing is scheduled or dispatched.

    Tokens are asked of the hub on `hub_port`, if there is one.
    """
    hub_url = f"http://127.0.0.1:{hub_port}/hub/api" if hub_port else None
    of_data = settings or Settings(data=data)
    with _serving(
        lambda hub: create_app(of_data, hub, ledger=ledger), lifespan="off", hub_url=hub_url
    ) as url:
        yield url


@contextmanager
def whole_service(settings: Settings, *, hub_port: int, **parts: Any) -> Iterator[str]:
    """Serve what `settings` name, with all loops; yields the service's URL.

    Tokens are asked of the hub on `hub_port`; `parts` are given to `create_app`.
    """
    hub_url = f"http://127.0.0.1:{hub_port}/hub/api"
    with _serving(lambda hub: create_app(settings, hub, **parts), lifespan="on", hub_url=hub_url) as url:
        yield url


@contextmanager
def _serving(
    app: Callable[[HubSettings], FastAPI], *, lifespan: Any, hub_url: str | None = None
) -> Iterator[str]:
    listener = listening()
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    hub = HubSettings(
        api_token="not-used",
        api_url=hub_url or f"{origin}/hub/api",
        client_id="service-respawn",
        service_url=origin,
    )
    with listener:
        built = app(hub)
        made = routes_made(built, lambda: app(hub)) if lifespan == "off" else nullcontext(built)
        with made as answering:
            server = uvicorn.Server(uvicorn.Config(answering, lifespan=lifespan, log_level="warning"))
            with running(server, listener):
                yield f"{origin}/services/respawn"


def listening() -> socket.socket:
    """Return a socket on a free port of the loopback, whose connections send small answers at once."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextmanager
def running(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    """Let a server answer what comes to a socket, in a thread."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, 30, "the service")
        yield
    finally:
        server.should_exit = True
        thread.join()
