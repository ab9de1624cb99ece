"""The hub's service on a port of its own, without a hub and without its loops: HTTP over a given ledger."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from respawn_hub.app import create_app
from respawn_hub.settings import HubSettings, Settings
from respawn_jobs.ledger import Ledger
from support.waiting import wait_for


@contextmanager
def served(ledger: Ledger, data: Path) -> Iterator[str]:
    """Serve a ledger over HTTP; yields the service's URL. Nothing is scheduled or dispatched."""
    listener = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    hub = HubSettings(
        api_token="not-used", api_url=f"{origin}/hub/api", client_id="service-respawn", service_url=origin
    )
    app = create_app(Settings(data=data), hub, ledger=ledger)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, 30, "the service")
        yield f"{origin}/services/respawn"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
