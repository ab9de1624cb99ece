"""The service and the runner protocol over HTTP, as `Service` and `RunnerPort` promise them.

Errors arrive as the classes of `respawn_jobs.errors`. A service that does not answer is `Unavailable`.
A connection that could not be made is always tried again; a call whose answer was lost is repeated only
where repeating does no harm. A runner repeats while its heartbeats are answered, for a few minutes at most;
without heartbeats no longer than its lease lasts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from respawn_jobs import errors
from respawn_jobs.models import (
    Artifact,
    AuditRecord,
    DebugBundle,
    Job,
    Plan,
    Run,
    RunDetail,
    RunState,
    Schedule,
    Version,
)
from respawn_jobs.protocol import (
    ArtifactCommit,
    Assignment,
    CellEvent,
    CheckpointCommit,
    HeartbeatAnswer,
    Outcome,
    Reconsidered,
)
from respawn_jobs.remote_backfills import RemoteBackfills
from respawn_jobs.remote_history import RemoteHistory
from respawn_jobs.remote_job_life import RemoteJobLife
from respawn_jobs.remote_link import CONNECT_SECONDS, Link, body, part, query
from respawn_jobs.remote_namespaces import RemoteNamespaces
from respawn_jobs.remote_queueing import RemoteQueueing
from respawn_jobs.remote_triggers import RemoteTriggers
from respawn_jobs.remote_versions import RemoteVersions
from respawn_jobs.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest, Seen
from respawn_jobs.service_versions import ScheduleChange
from respawn_jobs.stopping import lease_clock

_CHUNK = 1 << 20
_PATIENCE_SECONDS = 300.0
_BYTES_PER_SECOND = 5_000_000
"""How fast an upload is stored at the least."""


class RemoteService(
    RemoteVersions,
    RemoteHistory,
    RemoteTriggers,
    RemoteBackfills,
    RemoteQueueing,
    RemoteNamespaces,
    RemoteJobLife,
):
    """A hub's service as its people see it; made from the service's URL and a hub token."""

    def __init__(self, url: str, token: str, *, timeout: float = 60.0) -> None:
        """Prepare a connection.

        Args:
            url: Where the service answers, such as `https://hub.example.org/services/respawn`.
            token: A JupyterHub API token of the person.
            timeout: Seconds to wait for an answer.
        """
        self._link = Link(url, f"token {token}", timeout)
        self.url = self._link.url

    def whoami(self) -> str:
        """Return the caller's name."""
        return str(self._link.call("GET", "api/whoami").json()["name"])

    def promote(self, request: Promotion) -> Version:
        """Make a version of a job."""
        return self._one(Version, "POST", "api/versions", **body(request))

    def jobs(self, namespace: str | None = None, *, archived: bool = False) -> list[Job]:
        """Return the jobs that the caller may see."""
        return self._many(Job, "api/jobs", **query(namespace=namespace, archived=archived or None))

    def job(self, ref: str) -> Job:
        """Return one job."""
        return self._one(Job, "GET", "api/job", **query(ref=ref))

    def versions(self, ref: str) -> list[Version]:
        """Return a job's versions, newest first."""
        return self._many(Version, "api/job/versions", **query(ref=ref))

    def run(self, request: RunRequest) -> Run:
        """Queue a run."""
        return self._one(Run, "POST", "api/runs", **body(request))

    def runs(
        self,
        *,
        job: str | None = None,
        states: Sequence[RunState] = (),
        limit: int = 50,
        before: datetime | str | None = None,
        version: int | None = None,
    ) -> list[Run]:
        """Return runs, newest first."""
        before_text = before.isoformat() if isinstance(before, datetime) else before
        states_text = [state.value for state in states] or None
        wanted = query(job=job, state=states_text, limit=limit, before=before_text, version=version)
        return self._many(Run, "api/runs", **wanted)

    def show(self, run: str) -> RunDetail:
        """Return a run with its cells."""
        return self._one(RunDetail, "GET", f"api/runs/{part(run)}")

    def outputs(self, run: str, cell: int) -> list[dict[str, Any]]:
        """Return the outputs of one cell."""
        return list(self._link.call("GET", f"api/runs/{part(run)}/cells/{int(cell)}/outputs").json())

    def notebook(self, run: str) -> str:
        """Return the text of the executed notebook."""
        return self._link.call("GET", f"api/runs/{part(run)}/notebook").content.decode()

    def plan(self, run: str, request: ResumeRequest) -> Plan:
        """Tell what `resume` would do."""
        return self._one(Plan, "POST", f"api/runs/{part(run)}/plan", **body(request))

    def resume(self, run: str, request: ResumeRequest) -> Run:
        """Queue a run that goes on from where this one stopped."""
        return self._one(Run, "POST", f"api/runs/{part(run)}/resume", **body(request))

    def restart(self, run: str, request: ResumeRequest) -> Run:
        """Queue a run from the top."""
        return self._one(Run, "POST", f"api/runs/{part(run)}/restart", **body(request))

    def retry(self, run: str, request: Seen | None = None) -> Run:
        """Try a run again."""
        return self._one(Run, "POST", f"api/runs/{part(run)}/retry", **body(request or Seen()))

    def cancel(self, run: str, request: Seen | None = None) -> Run:
        """Ask a run to stop."""
        return self._one(Run, "POST", f"api/runs/{part(run)}/cancel", **body(request or Seen()))

    def debug(self, run: str) -> DebugBundle:
        """Return what opens the failure in a notebook."""
        return self._one(DebugBundle, "GET", f"api/runs/{part(run)}/debug")

    def blob(self, run: str, digest: str) -> bytes:
        """Return a blob that belongs to the run."""
        return self._link.call("GET", f"api/runs/{part(run)}/blobs/{part(digest)}").content

    def artifacts(self, run: str) -> list[Artifact]:
        """Return what the run keeps, by name, newest first."""
        return self._many(Artifact, f"api/runs/{part(run)}/artifacts")

    def schedule(self, request: ScheduleRequest) -> Schedule:
        """Add a schedule to a job."""
        return self._one(Schedule, "POST", "api/schedules", **body(request))

    def preview(self, cron: str, tz: str, count: int = 5) -> list[datetime]:
        """Return the next fires of a schedule."""
        fires = self._link.call("GET", "api/schedules/preview", **query(cron=cron, tz=tz, count=count)).json()
        return [datetime.fromisoformat(fire) for fire in fires]

    def pause(self, schedule: str, *, paused: bool) -> Schedule:
        """Pause a schedule or let it go on."""
        return self.change_schedule(schedule, ScheduleChange(paused=paused))

    def unschedule(self, schedule: str) -> None:
        """Remove a schedule."""
        self._link.call("DELETE", f"api/schedules/{part(schedule)}")

    def audit(self, limit: int = 100) -> list[AuditRecord]:
        """Return the newest audit records."""
        return self._many(AuditRecord, "api/audit", **query(limit=limit))

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
        `_PATIENCE_SECONDS`.
        """
        began = self._monotonic()
        pause = 0.1
        while True:
            try:
                return self._link.call(method, f"{self._base}/{path}", **arguments())
            except errors.Unavailable:
                now = self._monotonic() + pause
                if now > max(began, self._heard) + self._lease or now > began + _PATIENCE_SECONDS:
                    raise
            self._sleep(pause)
            pause = min(pause * 2, 2.0)

    def claim(self) -> Assignment:
        """Take the attempt. Not repeated when the answer is lost: a claim counts once."""
        answer = self._link.call("POST", f"{self._base}/claim")
        assignment = Assignment.model_validate_json(answer.content)
        self._lease = assignment.lease_seconds
        return assignment

    def heartbeat(self) -> HeartbeatAnswer:
        """Renew the lease. Tried once: the caller beats again soon."""
        sent = self._monotonic()
        answer = self._link.call("POST", f"{self._base}/heartbeat", timeout=max(1.0, self._lease / 3))
        self._heard = sent
        return HeartbeatAnswer.model_validate_json(answer.content)

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
        return Reconsidered.model_validate_json(answer.content)

    def missing(self, digests: list[str]) -> list[str]:
        """Return those of `digests` that are not stored."""
        return list(self._repeat("POST", "missing", lambda: {"json": digests}).json())

    def put_blob(self, digest: str, source: bytes | Path) -> None:
        """Store bytes under their digest; a file is streamed. The larger, the longer the answer may take."""
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        timeout = httpx.Timeout(self._timeout + size / _BYTES_PER_SECOND, connect=CONNECT_SECONDS)
        self._repeat("PUT", f"blobs/{part(digest)}", lambda: {**_upload(source), "timeout": timeout})

    def get_blob(self, digest: str) -> bytes:
        """Return a blob that this attempt may read."""
        timeout = httpx.Timeout(_PATIENCE_SECONDS, connect=CONNECT_SECONDS)  # its size is not known here
        return self._repeat("GET", f"blobs/{part(digest)}", lambda: {"timeout": timeout}).content

    def commit_checkpoint(self, commit: CheckpointCommit) -> None:
        """Make a checkpoint part of the run."""
        self._repeat("POST", "checkpoint", lambda: body(commit))

    def commit_artifact(self, commit: ArtifactCommit) -> None:
        """Make an artifact the latest of its name."""
        self._repeat("POST", "artifact", lambda: body(commit))

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
