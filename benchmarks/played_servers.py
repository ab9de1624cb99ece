"""Plays all job servers of a hub in one process: they register, report, and end each run at once.

    python benchmarks/played_servers.py PORT

What they say to the service is the real protocol, by the clients of real job servers and runners.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import harness  # noqa: F401  puts tests/ on the path
from tenacity import Retrying, retry_if_exception_type, wait_fixed

from respawn_jobs.api.job_server_protocol import JobServerReport, StartOrder
from respawn_jobs.errors import RespawnError, Unavailable
from respawn_jobs.remote.client import RemoteRunner
from respawn_jobs.remote.job_server import RemoteJobServer
from support.runners import PlayedRunner

_REPORT_SECONDS = 5.0
_runners = ThreadPoolExecutor(8)
_again = Retrying(retry=retry_if_exception_type(Unavailable), wait=wait_fixed(0.5), reraise=True)


class PlayedServer:
    """A job server."""

    def __init__(self, url: str, name: str, token: str, nonce: str) -> None:
        self._url, self._token, self._nonce = url, token, nonce
        self._link = RemoteJobServer(url, name)
        self.ended = threading.Event()
        self._changed = threading.Event()
        self._lock = threading.Lock()
        self._taken: list[str] = []
        self._living: set[str] = set()

    def start(self) -> None:
        """Begin; returns at once."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        _again(self._link.register, self._token, self._nonce)
        threading.Thread(target=self._report, daemon=True).start()
        try:
            while not self.ended.is_set():
                for order in _again(self._link.orders).start:
                    with self._lock:
                        self._taken.append(order.attempt)
                        self._living.add(order.attempt)
                    self._changed.set()
                    _runners.submit(self._run, order)
        except RespawnError:
            self.ended.set()  # the service knows it no more: it was stopped

    def _report(self) -> None:
        while not self.ended.is_set():
            self._changed.wait(_REPORT_SECONDS)
            self._changed.clear()
            with self._lock:
                taken, self._taken = self._taken, []
                report = JobServerReport(taken=taken, living=sorted(self._living))
            try:
                _again(self._link.report, report)
            except RespawnError:
                self.ended.set()

    def _run(self, order: StartOrder) -> None:
        port = RemoteRunner(self._url, order.attempt, order.token)
        try:
            runner = PlayedRunner.of(port, order.attempt)
            runner.begin()
            runner.execute(0, checkpoint=False)
            runner.succeed()
        except Exception:
            logging.exception("%s is not played", order.attempt)
        finally:
            port.close()
            with self._lock:
                self._living.discard(order.attempt)
            self._changed.set()


class Handler(BaseHTTPRequestHandler):
    """Starts and ends servers for the Spawner, and answers as any of them."""

    servers: dict[str, PlayedServer] = {}
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Start or end a server."""
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/play":
            server = PlayedServer(given["url"], given["name"], given["token"], given["nonce"])
            self.servers[given["name"]] = server
            server.start()
        elif (known := self.servers.pop(given["name"], None)) is not None:
            known.ended.set()
        self._answer()

    def do_GET(self) -> None:
        """Answer as a server that is there: the hub looks."""
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until it is ended, or whoever started it is gone."""
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.request_queue_size = 1000
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
