"""The service's process without a hub around it: for what only a process of its own shows, such as memory.

The hub that it asks is a socket of the test: one that answers for a single token, or one that never answers.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil

from support.ports import free_port
from support.processes import command_of
from support.waiting import wait_for

TOKEN = "token-of-ada"
_SERVICE_TOKEN = "of-the-service"
ENTERS = "access:services!service=respawn"
ADA = {TOKEN: ("ada", ["custom:respawn:edit!user=ada"])}


@dataclass
class LonelyService:
    """A service that runs."""

    url: str
    runner_url: str
    """Where its runners are heard."""
    process: subprocess.Popen[bytes]

    def peak(self) -> int:
        """Return the most memory that its two processes ever had, in MB."""
        return sum(_peak(pid) for pid in (self.process.pid, self.hearing().pid))

    def connections(self) -> int:
        """Return how many connections the process has, both ways."""
        every = psutil.Process(self.process.pid).net_connections()
        return sum(connection.status == psutil.CONN_ESTABLISHED for connection in every)

    def hearing(self) -> psutil.Process:
        """Return the process that hears the runners."""
        (found,) = (p for p in self.processes() if "respawn_hub.runners.process" in command_of(p))
        return found

    def processes(self) -> list[psutil.Process]:
        """Return the processes that the service started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def health(self) -> dict[str, Any]:
        """Return what it says of its health."""
        found: dict[str, Any] = httpx.get(f"{self.url}/api/v1/health").json()
        return found

    def healthy(self) -> bool:
        """Whether it says that it is well."""
        assert self.process.poll() is None, "the service ended"
        try:
            answers = [httpx.get(url) for url in (f"{self.url}/api/v1/health", f"{self.runner_url}/health")]
            return all(answer.status_code == 200 for answer in answers)
        except httpx.HTTPError:
            return False


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def cost(service: LonelyService, send: Callable[[], httpx.Response]) -> tuple[httpx.Response, float, int]:
    """Return an answer, the seconds of processors that it took, and by how many MB the service grew."""
    processes = [psutil.Process(service.process.pid), service.hearing()]

    def used() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    peak, before = service.peak(), used()
    answer = send()
    return answer, used() - before, service.peak() - peak


@contextmanager
def lonely_service(data: Path, hub_port: int, **environment: str) -> Iterator[LonelyService]:
    """Start the service over the store in `data`; it is stopped at the end of the block, if it still runs."""
    service = start_service(data, hub_port, **environment)
    try:
        wait_for(service.healthy, 60, "the service")
        yield service
    finally:
        service.process.terminate()
        service.process.wait(30)


def start_service(data: Path, hub_port: int, *, log: Path | None = None, **environment: str) -> LonelyService:
    """Start the service and do not wait for it; whoever calls ends its process.

    What it says goes to the end of `log`, by default to the test's own stderr.
    """
    origin, heard = f"http://127.0.0.1:{free_port()}", free_port()
    settings = {
        "JUPYTERHUB_API_TOKEN": _SERVICE_TOKEN,
        "JUPYTERHUB_API_URL": f"http://127.0.0.1:{hub_port}/hub/api",
        "JUPYTERHUB_CLIENT_ID": "service-respawn",
        "JUPYTERHUB_SERVICE_URL": origin,
        "RESPAWN_DATA": str(data),
        "RESPAWN_RUNNER_PORT": str(heard),
        "RESPAWN_SHARED": "no",
    }
    with log.open("ab") if log else nullcontext() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "respawn_hub"],
            env={**os.environ, **settings, **environment},
            stderr=output,
        )
    return LonelyService(f"{origin}/services/respawn", f"http://127.0.0.1:{heard}", process)


@contextmanager
def answering_hub(people: Mapping[str, tuple[str, Sequence[str]]] = ADA) -> Iterator[int]:
    """A hub that knows some tokens, by default ada's; yields its port.

    Args:
        people: the name and the scopes of who has a token, by tokens.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (_Answers,), {"people": people}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent_hub() -> Iterator[int]:
    """A hub that takes connections and never answers; yields its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
        yield listener.getsockname()[1]


class _Answers(BaseHTTPRequestHandler):
    people: Mapping[str, tuple[str, Sequence[str]]]

    def do_GET(self) -> None:
        known = self.people.get((self.headers.get("Authorization") or "").removeprefix("token "))
        name, scopes = known or ("", ())
        found = {"name": name, "kind": "user", "scopes": [ENTERS, *scopes], "groups": []}
        if self.headers.get("Authorization") == f"token {_SERVICE_TOKEN}":
            known = ("respawn", ())
            found = {"name": "respawn", "kind": "service", "scopes": []}
        body = json.dumps(found if known else {})
        self.send_response(200 if known else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""
