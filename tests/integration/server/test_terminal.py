"""The terminals of a person's server find the command that the documentation tells them to type."""

from __future__ import annotations

import json
import time

import pytest
import websocket

from support.servers import Server

pytestmark = pytest.mark.integration


def test_respawn_is_found_in_a_terminal_and_lists_the_hubs_jobs(server: Server) -> None:
    name = server.call("POST", "api/terminals", json={}).json()["name"]
    address = server.hub.url.replace("http", "ws", 1)
    connection = websocket.create_connection(
        f"{address}/user/{server.user}/terminals/websocket/{name}",
        header=[f"Authorization: token {server.hub.token(server.user)}"],
        timeout=60,
    )
    try:
        # What is typed is shown as well, so the words that are waited for are not in it.
        connection.send(json.dumps(["stdin", "respawn --version; respawn jobs; echo en''ded\r"]))
        said, deadline = "", time.monotonic() + 60
        while "ended" not in said and time.monotonic() < deadline:
            kind, *rest = json.loads(connection.recv())
            said += rest[0] if kind == "stdout" else ""
    finally:
        connection.close()
        server.call("DELETE", f"api/terminals/{name}")
    assert "respawn, version" in said
    assert "schedules" in said, said  # the last column of the table
