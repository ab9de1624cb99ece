"""A real hub with a person of each kind, and a service of its own beside it that does nothing by itself.

The service is the real one on a socket of the test, signed in to through the hub, without its loops: whatever
changes in its store was changed by a request.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from respawn_hub.app import create_app
from respawn_hub.hub_config.configuration import SCOPES
from respawn_hub.startup.settings import HubSettings, Settings
from respawn_hub.startup.store import open_ledger
from respawn_jobs.ledger import Ledger
from support.hub import RunningHub, running_hub
from support.service import listening, running
from support.waiting import wait_for

KINDS = {"bob": "stranger", "rita": "reader", "milo": "member", "ada": "owner", "root": "administrator"}
OUTSIDER = "nora"
"""A user of the hub who may not enter the service."""
_NAME = "matrix"
_PREFIX = f"/services/{_NAME}/"
_ACCESS = f"access:services!service={_NAME}"
_RIGHTS = {"rita": "read", "milo": "run", "ada": "edit"}
NAMESPACES = ("team/risk", "user/ada")


@dataclass
class Person:
    """Somebody with a token of the hub and a browser that is signed in."""

    name: str
    token: str
    cookies: dict[str, str]
    form_token: str

    @property
    def kind(self) -> str:
        """What the table of docs/reference/access.md calls them."""
        return KINDS[self.name]

    @property
    def cookie(self) -> str:
        """The header that their browser sends."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())


@dataclass
class Place:
    """The service, its store, and everybody."""

    app: FastAPI
    url: str
    ledger: Ledger
    data: Path
    hub: RunningHub
    people: dict[str, Person] = field(default_factory=dict)

    def token(self, user: str, **more: Any) -> str:
        """Make a token of the hub, with `expires_in` or fewer `scopes`."""
        self.hub.hub_api("POST", f"/users/{user}")  # who never signed in is not there yet; else 409
        answer = self.hub.hub_api("POST", f"/users/{user}/tokens", json={"note": "matrix", **more})
        answer.raise_for_status()
        return str(answer.json()["token"])

    def expired_token(self, user: str) -> str:
        """Make a token that was good once, and that the hub does not take any more."""
        token = self.token(user, expires_in=1)
        headers = {"Authorization": f"token {token}"}
        asked = f"{self.hub.url}/hub/api/user"
        wait_for(lambda: httpx.get(asked, headers=headers).status_code == 403, 30, "the token's end")
        return token


@contextmanager
def place(directory: Path, db_url: str | None = None) -> Iterator[Place]:
    """Start a hub and the service, by default on SQLite; everybody is signed in."""
    secret = secrets.token_hex(16)
    with listening() as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        hub = running_hub(
            directory,
            users=[*(name for name in KINDS if name != "root"), OUTSIDER],
            admins=["root"],
            groups={"risk": {"users": ["rita", "milo", "ada"]}},
            roles=_roles(),
            extra=_service(origin, secret),
        )
        with hub as running_one, _served(running_one, origin, secret, listener, db_url) as found:
            found.people |= {name: _signed_in(found, name) for name in KINDS}
            yield found


def _roles() -> list[dict[str, Any]]:
    """Return roles as an administrator of a hub gives them: who enters, and who has which right where."""
    roles: list[dict[str, Any]] = [{"name": "matrix-access", "users": [*KINDS], "scopes": [_ACCESS]}]
    for user, right in _RIGHTS.items():
        scopes = [f"custom:respawn:{right}!group=risk", f"custom:respawn:{right}!user=ada"]
        roles.append({"name": f"matrix-{right}", "users": [user], "scopes": scopes})
    return roles


def _service(origin: str, secret: str) -> str:
    service = {
        "name": _NAME,
        "api_token": secret,
        "oauth_redirect_uri": f"{origin}{_PREFIX}oauth_callback",
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": [*SCOPES],
    }
    return f"c.JupyterHub.services.append({service!r})"


@contextmanager
def _served(
    hub: RunningHub, origin: str, secret: str, listener: socket.socket, db_url: str | None
) -> Iterator[Place]:
    data, inbox = hub.directory / "matrix", hub.directory / "inbox"
    inbox.mkdir()
    settings = Settings(data=data, db_url=db_url, inbox_url=str(inbox), blob_grace_seconds=86_400)
    ledger = open_ledger(settings)
    hub_settings = HubSettings(
        api_token=secret,
        api_url=f"{hub.url}/hub/api",
        client_id=f"service-{_NAME}",
        service_name=_NAME,
        service_url=origin,
        service_prefix=_PREFIX,
        host=hub.url,
        oauth_callback_url=f"{origin}{_PREFIX}oauth_callback",
    )
    app = create_app(settings, hub_settings, ledger=ledger)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
    with running(server, listener):
        yield Place(app, origin + _PREFIX.rstrip("/"), ledger, data, hub)
    ledger.close()


def _signed_in(found: Place, name: str) -> Person:
    """Sign somebody in as a browser does it: through the hub's page, and back."""
    headers = {"Accept": "text/html", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
    with httpx.Client(headers=headers, follow_redirects=True, timeout=30) as browser:
        form = browser.get(f"{found.url}/")
        xsrf = re.search(r'name="_xsrf"\s+value="([^"]+)"', form.text)
        assert xsrf, form.text[:500]
        fields = {"username": name, "password": found.hub.password, "_xsrf": xsrf.group(1)}
        page = browser.post(str(form.url), data=fields)
        token = re.search(r'name="_form_token" value="([^"]+)"', page.text)
        assert token, page.text[:500]
        # The browser sends to the service what is meant for its path, and for every path.
        sent = {
            cookie.name: cookie.value or "" for cookie in browser.cookies.jar if cookie.path in ("/", _PREFIX)
        }
    return Person(name, found.token(name), sent, token.group(1))
