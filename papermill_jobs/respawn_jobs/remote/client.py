"""The service and the runner protocol over HTTP, as `Service` and `RunnerPort` promise them.

Errors arrive as the classes of `respawn_jobs.errors`. A service that does not answer is `Unavailable`.
A connection that could not be made is always tried again; a call whose answer was lost is repeated only
where repeating does no harm. A runner repeats while its heartbeats are answered, for a few minutes at most;
without heartbeats no longer than its lease lasts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, cast

import httpx

from respawn_jobs import errors
from respawn_jobs.api.address import API
from respawn_jobs.api.operation import operation_of
from respawn_jobs.api.runner_protocol import (
    ArtifactCommit,
    ArtifactRequest,
    Assignment,
    CellEvent,
    CheckpointCommit,
    HeartbeatAnswer,
    Outcome,
    Reconsidered,
    RunnerVersion,
)
from respawn_jobs.api.service import Service
from respawn_jobs.clock import lease_clock
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.remote.archives import RemoteArchives
from respawn_jobs.remote.calls import makes_calls
from respawn_jobs.remote.connection import CONNECT_SECONDS, Link, body, part, read, read_other

_CHUNK = 1 << 20
_TIME_LIMIT_SECONDS = 300.0
_BYTES_PER_SECOND = 5_000_000
"""How fast an upload is stored at the least."""


@makes_calls
class RemoteService(RemoteArchives, Service):
    """A hub's service as its people see it; made from the service's URL and a hub token."""

    def __init__(self, url: str, token: str, *, timeout: float = 60.0) -> None:
        """Prepare a connection.

        Args:
            url: Where the service answers, such as `https://hub.example.org/services/respawn`.
            token: A JupyterHub API token of the person.
            timeout: Seconds to wait for an answer.
        """
        self._link = Link(url, f"token {token}", timeout, below=API)
        self.url = self._link.url

    @classmethod
    def connect(cls, url: str, token: str) -> Self:
        """Return a connection, as the class does; type checkers take the class for an abstract one.

        Its methods are made, so they see those that the interface only promises.
        """
        return cls(url, token)

    def whoami(self) -> str:
        """Return the caller's name."""
        called = operation_of(Service.whoami)
        answer = read_other(dict[str, Any], self._link.call(called.method, called.path).content)
        return str(answer.get("name", ""))

    def close(self) -> None:
        """Release connections."""
        self._link.close()


class RemoteRunner:
    """The service as one runner sees it, over HTTP."""

    def __init__(
        self,
        url: str,
        attempt: str,
        token: str,
        *,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = lease_clock,
    ) -> None:
        """Prepare a connection.

        Args:
            url: Where the service answers.
            attempt: The attempt to execute.
            token: The attempt's own token.
            timeout: Seconds to wait for an answer.
            sleep: How to wait before trying again.
            monotonic: The clock that measures how long the lease has left.
        """
        self._link = Link(url, f"Bearer {token}", timeout)
        self._base = f"runner/{part(attempt)}"
        self._lease = 15.0
        self._timeout = timeout
        self._heard = float("-inf")
        self._sleep = sleep
        self._monotonic = monotonic

    def _repeat(self, method: str, path: str, arguments: Callable[[], dict[str, Any]]) -> httpx.Response:
        """Make a call that may safely be made twice, again and again until the lease is over.

        Heartbeats that are answered meanwhile keep the lease, but nothing is tried for longer than
        `_TIME_LIMIT_SECONDS`.
        """
        began = self._monotonic()
        pause = 0.1
        while True:
            try:
                return self._link.call(method, f"{self._base}/{path}", **arguments())
            except errors.Unavailable:
                now = self._monotonic() + pause
                if now > max(began, self._heard) + self._lease or now > began + _TIME_LIMIT_SECONDS:
                    raise
            self._sleep(pause)
            pause = min(pause * 2, 2.0)

    def claim(self, runner: RunnerVersion | None = None) -> Assignment:
        """Take the attempt. Not repeated when the answer is lost: a claim counts once."""
        answer = self._link.call("POST", f"{self._base}/claim", **body(runner or RunnerVersion.own()))
        assignment = read(Assignment, answer.content)
        self._lease = assignment.lease_seconds
        return assignment

    def heartbeat(self) -> HeartbeatAnswer:
        """Renew the lease. Tried once: the caller beats again soon."""
        sent = self._monotonic()
        answer = self._link.call("POST", f"{self._base}/heartbeat", timeout=max(1.0, self._lease / 3))
        self._heard = sent
        return read(HeartbeatAnswer, answer.content)

    def record(self, events: list[CellEvent]) -> None:
        """Store cell events."""
        self._repeat("POST", "record", lambda: {"json": [event.model_dump(mode="json") for event in events]})

    def begin(self, skeleton: str, cells: list[CellEvent]) -> None:
        """Tell the parameterized notebook and its pending code cells."""
        body = {"skeleton": skeleton, "cells": [cell.model_dump(mode="json") for cell in cells]}
        self._repeat("POST", "begin", lambda: {"json": body})

    def reconsider(self, done: list[int]) -> Reconsidered:
        """Make the plan of a resumed attempt anew."""
        answer = self._repeat("POST", "reconsider", lambda: {"json": done})
        return read(Reconsidered, answer.content)

    def missing(self, digests: list[str]) -> list[str]:
        """Return those of `digests` that are not stored."""
        answer = self._repeat("POST", "missing", lambda: {"json": digests})
        return cast(list[str], read_other(list[str], answer.content))

    def put_blob(self, digest: str, source: bytes | Path) -> None:
        """Store bytes under their digest; a file is streamed. The larger, the longer the answer may take."""
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        timeout = httpx.Timeout(self._timeout + size / _BYTES_PER_SECOND, connect=CONNECT_SECONDS)
        self._repeat("PUT", f"blobs/{part(digest)}", lambda: {**_upload(source), "timeout": timeout})

    def get_blob(self, digest: str) -> bytes:
        """Return a blob that this attempt may read."""
        timeout = httpx.Timeout(_TIME_LIMIT_SECONDS, connect=CONNECT_SECONDS)  # its size is not known here
        return self._repeat("GET", f"blobs/{part(digest)}", lambda: {"timeout": timeout}).content

    def commit_checkpoint(self, commit: CheckpointCommit) -> None:
        """Make a checkpoint part of the run."""
        self._repeat("POST", "checkpoint", lambda: body(commit))

    def commit_artifact(self, commit: ArtifactCommit) -> None:
        """Make an artifact the latest of its name."""
        self._repeat("POST", "artifact", lambda: body(commit))

    def latest_artifact(self, request: ArtifactRequest) -> Artifact:
        """Return what the newest successful run of another job kept."""
        answer = self._repeat("POST", "latest-artifact", lambda: body(request))
        return read(Artifact, answer.content)

    def finish(self, outcome: Outcome) -> None:
        """End the attempt. Told again when the answer is lost, which the service takes for what it is."""
        self._repeat("POST", "finish", lambda: body(outcome))

    def close(self) -> None:
        """Release connections."""
        self._link.close()


def _upload(source: bytes | Path) -> dict[str, Any]:
    headers = {"Content-Type": "application/octet-stream"}
    if isinstance(source, bytes):
        return {"content": source, "headers": headers}
    headers["Content-Length"] = str(source.stat().st_size)
    return {"content": _chunks(source), "headers": headers}


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
