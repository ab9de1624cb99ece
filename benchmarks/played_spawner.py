"""A Spawner that starts no processes, and what counts the requests that a hub answers; both run in the hub.

All its servers are played by one process, `played_servers.py`, at the address in `PLAYED_SERVERS`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar

from jupyterhub.log import log_request
from jupyterhub.spawner import Spawner
from tornado.httpclient import AsyncHTTPClient


class PlayedSpawner(Spawner):
    """Has another process play a server."""

    running: ClassVar[set[tuple[str, str]]] = set()

    async def start(self) -> str:
        """Return at once where the server is."""
        variables = self.get_env()
        name = {"JUPYTERHUB_API_TOKEN": "token", "RESPAWN_JOB_SERVER_NONCE": "nonce", "RESPAWN_URL": "url"}
        server = {key: variables[variable] for variable, key in name.items()}
        address = os.environ["PLAYED_SERVERS"]
        body = json.dumps({"name": self.name, **server})
        await AsyncHTTPClient().fetch(f"{address}/play", method="POST", body=body)
        self.running.add((self.user.name, self.name))
        return address

    async def poll(self) -> int | None:
        """Return None while the server runs."""
        return None if (self.user.name, self.name) in self.running else 0

    async def stop(self, now: bool = False) -> None:
        """End the server."""
        self.running.discard((self.user.name, self.name))
        address = os.environ["PLAYED_SERVERS"]
        await AsyncHTTPClient().fetch(f"{address}/end", method="POST", body=json.dumps({"name": self.name}))


def counted(handler: Any) -> None:
    """Note a request that was answered, then log it as the hub does."""
    user = handler.current_user
    line = {
        "method": handler.request.method,
        "path": handler.request.path,
        "who": getattr(user, "name", "") if user is not None else "",
    }
    with Path(os.environ["PLAYED_REQUESTS"]).open("a") as file:
        print(json.dumps(line), file=file)
    log_request(handler)
