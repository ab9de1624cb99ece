"""The runner protocol over HTTP: `RunnerPort`, one route per method, for the attempt's own token only.

A runner that is not heard in time loses its lease, so it must never wait behind people: the service's own
runners ask a process that nobody else does (`respawn_hub.runner_process`). The same routes answer beside
those for people, in threads of their own; hence no handler and no dependency here is a plain function, which
would run in the threads that everything else shares.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security.utils import get_authorization_scheme_param

from respawn_hub.handlers.problems import TO_RUNNERS, sends, takes
from respawn_hub.handlers.streams import BYTES, streamed
from respawn_hub.limits import check_size
from respawn_hub.runner_api import RunnerApi, RunnerApiDep
from respawn_hub.uploads import upload_file
from respawn_jobs.errors import Unauthenticated
from respawn_jobs.ledger.port import LedgerRunner
from respawn_jobs.logs import about
from respawn_jobs.models import Model
from respawn_jobs.protocol import (
    ArtifactCommit,
    Assignment,
    CellEvent,
    CheckpointCommit,
    HeartbeatAnswer,
    Outcome,
    Reconsidered,
)
from respawn_jobs.wire import Many, Whole

_SMALL_BODY = 1 << 16
"""Bytes of a document that is read before the token in it is checked."""


class _AskedFirst(APIRoute):
    """A route that checks the token before it reads a body that is not small."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def asked(request: Request) -> Response:
            told = request.headers.get("Content-Length", "")
            small = told.isdecimal() and int(told) <= _SMALL_BODY
            if self.body_field is not None and not small:
                api: RunnerApi = request.app.state.runner_api
                asking = await port(request.path_params["attempt"], request, api)
                await api.threads.run(asking.check)
            await check_size(self, request)
            with about(attempt=request.path_params["attempt"]):
                return await handle(request)

        return asked


router = APIRouter(
    prefix="/runner/{attempt}", tags=["runners"], responses=TO_RUNNERS, route_class=_AskedFirst
)


class Beginning(Model):
    """The parameterized notebook, with the cells that are to be executed."""

    skeleton: str
    cells: Many[CellEvent]


async def port(attempt: str, request: Request, api: RunnerApiDep) -> LedgerRunner:
    """Return the ledger as this attempt's runner may use it; the ledger checks the token in each call."""
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("a runner sends `Authorization: Bearer <attempt token>`")
    return api.ledger.runner(attempt, token)


PortDep = Annotated[LedgerRunner, Depends(port)]


@router.post("/claim")
async def claim(port: PortDep, api: RunnerApiDep) -> Assignment:
    """Take the attempt: its lease starts."""
    return await api.threads.run(port.claim)


@router.post("/heartbeat")
async def heartbeat(port: PortDep, api: RunnerApiDep) -> HeartbeatAnswer:
    """Renew the lease."""
    return await api.threads.run(port.heartbeat)


@router.post("/record", status_code=204)
async def record(port: PortDep, api: RunnerApiDep, events: Annotated[Many[CellEvent], Body()]) -> None:
    """Store cell events; all or none."""
    await api.threads.run(port.record, events)


@router.post("/begin", status_code=204)
async def begin(port: PortDep, api: RunnerApiDep, beginning: Beginning) -> None:
    """Store the parameterized notebook and its pending cells."""
    await api.threads.run(port.begin, beginning.skeleton, beginning.cells)


@router.post("/reconsider")
async def reconsider(port: PortDep, api: RunnerApiDep, done: Annotated[Many[Whole], Body()]) -> Reconsidered:
    """Make the plan of a resumed attempt anew, with what was seen of the cells that ran again."""
    return await api.threads.run(port.reconsider, done)


@router.post("/missing")
async def missing(port: PortDep, api: RunnerApiDep, digests: Annotated[Many[str], Body()]) -> list[str]:
    """Return those of the digests that are not stored."""
    return await api.threads.run(port.missing, digests)


@router.put("/blobs/{digest}", status_code=204, openapi_extra=takes(BYTES))
async def put_blob(digest: str, request: Request, port: PortDep, api: RunnerApiDep) -> None:
    """Store bytes under their digest; they pass through a file, never as a whole through memory."""
    in_thread = api.threads.run
    if not await in_thread(port.missing, [digest]):
        return
    with upload_file(api.uploads) as (file, path):
        async for chunk in request.stream():
            await in_thread(file.write, chunk)
        file.flush()
        await in_thread(port.put_blob, digest, path)


@router.get("/blobs/{digest}", response_class=Response, responses=sends(BYTES))
async def get_blob(digest: str, port: PortDep, api: RunnerApiDep) -> Response:
    """Return a blob that the attempt may read."""
    return await streamed(lambda: port.stream_blob(digest), api.threads.run)


@router.post("/checkpoint", status_code=204)
async def checkpoint(port: PortDep, api: RunnerApiDep, commit: CheckpointCommit) -> None:
    """Make a checkpoint, whose blobs are all stored, part of the run."""
    await api.threads.run(port.commit_checkpoint, commit)


@router.post("/artifact", status_code=204)
async def artifact(port: PortDep, api: RunnerApiDep, commit: ArtifactCommit) -> None:
    """Make an artifact, whose parts are all stored, the latest of its name."""
    await api.threads.run(port.commit_artifact, commit)


@router.post("/finish", status_code=204)
async def finish(port: PortDep, api: RunnerApiDep, outcome: Outcome) -> None:
    """End the attempt."""
    await api.threads.run(port.finish, outcome)
    api.wake()
