"""The runner protocol over HTTP: `RunnerPort`, one route per method, for the attempt's own token only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.security.utils import get_authorization_scheme_param

from respawn_hub.runtime import RuntimeDep
from respawn_jobs.errors import Unauthenticated
from respawn_jobs.models import Model
from respawn_jobs.protocol import (
    Assignment,
    CellEvent,
    CheckpointCommit,
    HeartbeatAnswer,
    Outcome,
    RunnerPort,
)

router = APIRouter(prefix="/runner/{attempt}", tags=["runners"])


class Beginning(Model):
    """The parameterized notebook, with the cells that are to be executed."""

    skeleton: str
    cells: list[CellEvent]


def port(attempt: str, request: Request, runtime: RuntimeDep) -> RunnerPort:
    """Return the ledger as this attempt's runner may use it; the ledger checks the token in each call."""
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("a runner sends `Authorization: Bearer <attempt token>`")
    return runtime.ledger.runner(attempt, token)


PortDep = Annotated[RunnerPort, Depends(port)]


@router.post("/claim")
def claim(port: PortDep) -> Assignment:
    """Take the attempt: its lease starts."""
    return port.claim()


@router.post("/heartbeat")
def heartbeat(port: PortDep) -> HeartbeatAnswer:
    """Renew the lease."""
    return port.heartbeat()


@router.post("/record", status_code=204)
def record(port: PortDep, events: Annotated[list[CellEvent], Body()]) -> None:
    """Store cell events; all or none."""
    port.record(events)


@router.post("/begin", status_code=204)
def begin(port: PortDep, beginning: Beginning) -> None:
    """Store the parameterized notebook and its pending cells."""
    port.begin(beginning.skeleton, beginning.cells)


@router.post("/missing")
def missing(port: PortDep, digests: Annotated[list[str], Body()]) -> list[str]:
    """Return those of the digests that are not stored."""
    return port.missing(digests)


@router.put("/blobs/{digest}", status_code=204)
async def put_blob(digest: str, request: Request, port: PortDep, runtime: RuntimeDep) -> None:
    """Store bytes under their digest; they pass through a file, never as a whole through memory."""
    if not await run_in_threadpool(port.missing, [digest]):
        return
    uploads = runtime.settings.data / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=uploads) as file:
        async for chunk in request.stream():
            await run_in_threadpool(file.write, chunk)
        file.flush()
        await run_in_threadpool(port.put_blob, digest, Path(file.name))


@router.get("/blobs/{digest}", response_class=Response)
def get_blob(digest: str, port: PortDep) -> Response:
    """Return a blob that the attempt may read."""
    return Response(port.get_blob(digest), media_type="application/octet-stream")


@router.post("/checkpoint", status_code=204)
def checkpoint(port: PortDep, commit: CheckpointCommit) -> None:
    """Make a checkpoint, whose blobs are all stored, part of the run."""
    port.commit_checkpoint(commit)


@router.post("/finish", status_code=204)
def finish(port: PortDep, outcome: Outcome, runtime: RuntimeDep) -> None:
    """End the attempt."""
    port.finish(outcome)
    runtime.wake()
