"""The service's pages as a signed-in person's browser gets them: no hub, no socket, no loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from respawn_hub.app import create_app
from respawn_hub.auth import dependencies
from respawn_hub.startup.settings import HubSettings, Settings
from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from support.made_routes import routes_made

_ORIGIN = "http://testserver"
Browse = Callable[..., httpx.Response]
"""Asks as a signed-in browser does: a method, a path, and what a form holds."""


@dataclass(frozen=True)
class SignedIn:
    """A browser in which somebody is signed in."""

    app: FastAPI
    make: Callable[[], FastAPI]
    """Makes another such service."""
    form_token: str

    def ask(
        self, method: str, path: str, *, form: dict[str, Any] | None = None, **options: Any
    ) -> httpx.Response:
        """Ask for a path of the service; a form is sent as its pages do."""
        if form is not None:
            options["data"] = {**form, dependencies.FORM_FIELD: self.form_token}
        return asyncio.run(self._ask(method, path, options))

    async def _ask(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        with routes_made(self.app, self.make) as app:
            transport, accepts = httpx.ASGITransport(app), {"Accept": "text/html"}
            async with httpx.AsyncClient(transport=transport, base_url=_ORIGIN, headers=accepts) as client:
                return await client.request(method, path, **options)


def signed_in(ledger: Ledger, data: Path, name: str = "ada", *, actor: Actor | None = None) -> SignedIn:
    """Sign the owner of `user/<name>`, or `actor`, in at a service over `ledger` with files in `data`."""
    hub = HubSettings(
        api_token="not-used", api_url=f"{_ORIGIN}/hub/api", client_id="service-respawn", service_url=_ORIGIN
    )

    def make() -> FastAPI:
        return create_app(Settings(data=data), hub, ledger=ledger)

    app = make()
    form_token = app.state.runtime.sessions.form_token("hub-token")
    visitor = dependencies.Visitor(actor or Actor.owner(name), form_token, "hub-token")
    app.dependency_overrides[dependencies.visitor] = lambda: visitor
    return SignedIn(app, make, form_token)
