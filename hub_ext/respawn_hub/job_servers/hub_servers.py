"""The hub's named servers: started, seen and stopped (`users/{name}/servers` of JupyterHub's REST API)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from respawn_jobs.api.job_server_protocol import NONCE_OPTION, PROFILE_OPTION
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.context.job_places import ServerKind

Call = Callable[[str, str, Mapping[str, Any] | None], httpx.Response]
"""Calls the hub's API as the service: a method, a path, and a JSON body or none."""

_MOST = 1000
"""Characters of what the hub says of a failure."""


class HubServers:
    """Named servers of the hub's users.

    Args:
        call: calls the hub's API as the service.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

    def start(
        self, kind: ServerKind, name: str, nonce: str, options: Mapping[str, Any] | None = None
    ) -> None:
        """Ask for a server; returns when the hub has begun to start it.

        Args:
            kind: the hub's user whose server it is, and its profile.
            name: the server's name.
            nonce: what it registers with.
            options: what the Spawner gets for the profile, as `user_options`.

        Raises:
            Unavailable: the hub does not start it, in its own words.
        """
        own = {NONCE_OPTION: nonce, **({PROFILE_OPTION: kind.profile} if kind.profile else {})}
        answer = self._call("POST", _path(kind.account, name), {**(options or {}), **own})
        if answer.status_code not in (201, 202):
            raise Unavailable(f"the hub does not start a job server of {kind.words}: {_answer_of(answer)}")

    def runs(self, account: str, name: str) -> bool:
        """Return whether a server runs or is about to. Raises Unavailable where the hub does not tell."""
        answer = self._call("GET", f"/users/{quote(account, safe='@~')}", None)
        if answer.status_code == 404:
            return False
        if answer.status_code != 200:
            raise Unavailable(
                f"the hub answered {answer.status_code} when asked for the servers of {account}"
            )
        server = (answer.json().get("servers") or {}).get(name)
        return bool(server and (server.get("ready") or server.get("pending")))

    def failure(self, account: str, name: str) -> str | None:
        """Return why a server that neither runs nor starts has not started, in the hub's own words.

        Args:
            account: the hub's user whose server it is.
            name: the server's name.

        Returns:
            None where the hub does not tell (any more): it remembers the last start alone, until it ends.

        Raises:
            Unavailable: the hub does not answer.
        """
        answer = self._call("GET", f"{_path(account, name)}/progress", None)
        if answer.status_code != 200:
            return None
        # An event stream, which ends with what became of the start.
        data = [line.removeprefix("data:") for line in answer.text.splitlines() if line.startswith("data:")]
        try:
            event = json.loads(data[-1]) if data else {}
        except ValueError:
            return None
        message = str(event.get("message") or "") if event.get("failed") else ""
        return message.removeprefix("Spawn failed: ")[:_MOST] or None

    def stop(self, account: str, name: str) -> None:
        """Stop a server and remove it; one that is gone is none to stop.

        Args:
            account: the hub's user whose server it is.
            name: the server's name.

        Raises:
            Unavailable: the hub does not stop it.
        """
        answer = self._call("DELETE", _path(account, name), {"remove": True})
        if answer.status_code not in (202, 204, 404):
            raise Unavailable(
                f"the hub does not stop the job server {name} of {account}: {_answer_of(answer)}"
            )


def _path(account: str, name: str) -> str:
    return f"/users/{quote(account, safe='@~')}/servers/{quote(name, safe='')}"


def _answer_of(answer: httpx.Response) -> str:
    """Return what the hub says of its refusal."""
    try:
        message = answer.json().get("message")
    except (ValueError, AttributeError):
        message = None
    return str(message or f"it answered {answer.status_code} {answer.reason_phrase}")
