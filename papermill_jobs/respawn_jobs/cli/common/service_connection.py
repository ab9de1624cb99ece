"""Where a command finds its service: a hub, or the embedded store on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from respawn_jobs.api.service import Service
    from respawn_jobs.ledger import Ledger


@dataclass
class ServiceConnection:
    """The service, and the ledger under it when it is the embedded one."""

    service: Service
    ledger: Ledger | None = None
    url: str | None = None


@contextmanager
def connection() -> Iterator[ServiceConnection]:
    """Open the service that the environment names.

    `RESPAWN_URL` is a hub's service, with the token in `RESPAWN_TOKEN` or, inside a single-user server,
    `JUPYTERHUB_API_TOKEN`. Without it the embedded store under `RESPAWN_DATA` is opened, and runs whose
    runner has died since are marked as lost.
    """
    url = os.environ.get("RESPAWN_URL")
    found = _remote(url) if url else _embedded()
    try:
        yield found
    finally:
        found.service.close()
        if found.ledger is not None:
            found.ledger.close()


def _remote(url: str) -> ServiceConnection:
    from respawn_jobs.errors import InvalidInput, Unauthenticated
    from respawn_jobs.remote.client import RemoteService

    token = os.environ.get("RESPAWN_TOKEN") or os.environ.get("JUPYTERHUB_API_TOKEN")
    if not token:
        raise Unauthenticated("RESPAWN_URL is set but no token: put a JupyterHub API token in RESPAWN_TOKEN")
    if not url.startswith(("http://", "https://")):
        raise InvalidInput("RESPAWN_URL is not an address: it starts with http:// or https://")
    if not (token.isascii() and token.isprintable()):
        raise InvalidInput("the token in RESPAWN_TOKEN has characters that no token has")
    service = RemoteService.connect(url, token)
    return ServiceConnection(service=service, url=service.url)


def _embedded() -> ServiceConnection:
    from respawn_jobs.embedded.local_store import open_store, owner

    ledger = open_store()
    ledger.expire()
    return ServiceConnection(service=ledger.as_actor(owner()), ledger=ledger)
