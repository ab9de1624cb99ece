"""The runner protocol over HTTP: `RunnerPort`, one route per method, for the attempt's own token only.

A runner that is not heard in time loses its lease, so it must never wait behind people: the service's own
runners ask a process that nobody else does (`respawn_hub.runners.process`). The same routes answer beside
those for people, in threads of their own; hence no handler and no dependency here is a plain function, which
would run in the threads that everything else shares.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security.utils import get_authorization_scheme_param

from respawn_hub.runners.context import RunnerApi, RunnerApiDep
from respawn_hub.web.body_limits import check_size
from respawn_hub.web.problems import TO_RUNNERS, sends, takes
from respawn_hub.web.streaming import BYTES, streamed
from respawn_hub.web.uploads import upload_file
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
from respawn_jobs.errors import Unauthenticated
from respawn_jobs.ledger.attempts.runner_port import LedgerRunner
from respawn_jobs.logs import about
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.base import Many, Model, Whole

_SMALL_BODY = 1 << 16
"""Bytes of a document that is read before the token in it is checked."""


class _AskedFirst(APIRoute):
    """A route that checks the token before it reads a body that is not small."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def asked(request: Request) -> Response:
            length = request.headers.get("Content-Length", "")
            small = length.isdecimal() and int(length) <= _SMALL_BODY
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
    """Return the ledger as this attempt's runner may use it; the ledger checks the token in each call.

    Args:
        attempt: id of the attempt, from the address.
        request: the runner's request, whose `Authorization` header has the token (RFC 6750, section 2.1).
        api: the objects that answer runners.

    Raises:
        Unauthenticated: the request has no bearer token.
    """
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("a runner sends `Authorization: Bearer <attempt token>`")
    return api.ledger.runner(attempt, token)


PortDep = Annotated[LedgerRunner, Depends(port)]


@router.post("/claim")
async def claim(port: PortDep, api: RunnerApiDep, runner: RunnerVersion | None = None) -> Assignment:
    """Take the attempt: its lease starts.

    \f

    Args:
        port, api: the ledger for this attempt, and what answers runners.
        runner: the runner's protocol; None for a runner of the first one, which sent nothing.

    Raises:
        Conflict: the attempt was claimed before, or the service does not know the runner's protocol.
        Fenced: the attempt has ended or was replaced.
        Unauthenticated: the token is not that of the attempt.
    """
    return await api.threads.run(port.claim, runner or RunnerVersion())


@router.post("/heartbeat")
async def heartbeat(port: PortDep, api: RunnerApiDep) -> HeartbeatAnswer:
    """Renew the lease."""
    return await api.threads.run(port.heartbeat)


@router.post("/record", status_code=204)
async def record(port: PortDep, api: RunnerApiDep, events: Annotated[Many[CellEvent], Body()]) -> None:
    """Store cell events; all or none.

    \f

    Args:
        port, api: the ledger for this attempt, and what answers runners.
        events: changes of cells, in their order; a later one for the same cell replaces the earlier.

    Raises:
        InvalidInput: an event names a blob that was not put.
        Conflict: the attempt was not claimed.
        Fenced: the attempt has ended or was replaced.
    """
    await api.threads.run(port.record, events)


@router.post("/begin", status_code=204)
async def begin(port: PortDep, api: RunnerApiDep, beginning: Beginning) -> None:
    """Store the parameterized notebook and its pending cells.

    \f

    Args:
        port, api: the ledger for this attempt, and what answers runners.
        beginning: the digest of the notebook's blob, and one event for each code cell.

    Raises:
        InvalidInput: the notebook's blob was not put.
        Fenced: the attempt has ended or was replaced.
    """
    await api.threads.run(port.begin, beginning.skeleton, beginning.cells)


@router.post("/reconsider")
async def reconsider(port: PortDep, api: RunnerApiDep, done: Annotated[Many[Whole], Body()]) -> Reconsidered:
    """Make the plan of a resumed attempt anew, with what was seen of the cells that ran again.

    \f

    Args:
        port, api: the ledger for this attempt, and what answers runners.
        done: indexes of the cells above the restored state that have run, in their order.

    Raises:
        Fenced: the attempt has ended or was replaced.
    """
    return await api.threads.run(port.reconsider, done)


@router.post("/missing")
async def missing(port: PortDep, api: RunnerApiDep, digests: Annotated[Many[str], Body()]) -> list[str]:
    """Return those of the digests that are not stored.

    \f

    Args:
        port, api: the ledger for this attempt, and what answers runners.
        digests: BLAKE3 digests, 64 hexadecimal digits each; what other namespaces store does not count.

    Raises:
        Fenced: the attempt has ended or was replaced.
    """
    return await api.threads.run(port.missing, digests)


@router.put("/blobs/{digest}", status_code=204, openapi_extra=takes(BYTES))
async def put_blob(digest: str, request: Request, port: PortDep, api: RunnerApiDep) -> None:
    """Store bytes under their digest; they pass through a file, never as a whole through memory.

    \f

    Args:
        digest: BLAKE3 digest of the bytes, 64 hexadecimal digits.
        request: the runner's request, whose body is the bytes.
        port, api: the ledger for this attempt, and what answers runners.

    Raises:
        SentWrong: the bytes do not match the digest; nothing was stored.
        QuotaExceeded: the namespace stores as much as it may.
        Fenced: the attempt has ended or was replaced.
        Unavailable: the blob store does not answer, or has no room left.
    """
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
    """Return a blob that the attempt may read.

    \f

    Args:
        digest: BLAKE3 digest of the blob, 64 hexadecimal digits.
        port, api: the ledger for this attempt, and what answers runners.

    Raises:
        NotFound: the attempt may not read such a blob.
        Fenced: the attempt has ended or was replaced.
    """
    return await streamed(lambda: port.stream_blob(digest), api.threads.run)


@router.post("/checkpoint", status_code=204)
async def checkpoint(port: PortDep, api: RunnerApiDep, commit: CheckpointCommit) -> None:
    """Make a checkpoint, whose blobs are all stored, part of the run.

    \f

    Args:
        port, api: the ledger for this attempt, and what answers runners.
        commit: the checkpoint, and the digests that it names.

    Raises:
        InvalidInput: a blob that it names was not put.
        Fenced: the attempt has ended or was replaced.
    """
    await api.threads.run(port.commit_checkpoint, commit)


@router.post("/artifact", status_code=204)
async def artifact(port: PortDep, api: RunnerApiDep, commit: ArtifactCommit) -> None:
    """Make an artifact, whose parts are all stored, the latest of its name.

    \f

    Args:
        port, api: the ledger for this attempt, and what answers runners.
        commit: the artifact, and the digests of its parts.

    Raises:
        InvalidInput: a part was not put, or the run has too many names of artifacts.
        Fenced: the attempt has ended or was replaced.
    """
    await api.threads.run(port.commit_artifact, commit)


@router.post("/latest-artifact")
async def latest_artifact(port: PortDep, api: RunnerApiDep, request: ArtifactRequest) -> Artifact:
    """Return what the newest successful run of another job kept, and let it belong to the run.

    \f

    Args:
        port, api: the ledger for this attempt, and what answers runners.
        request: the job and the artifact's name.

    Raises:
        NotFound: there is no such job, or no successful run of it that kept it.
        InvalidInput: the job is one of another namespace.
        Fenced: the attempt has ended or was replaced.
    """
    return await api.threads.run(port.latest_artifact, request)


@router.post("/finish", status_code=204)
async def finish(port: PortDep, api: RunnerApiDep, outcome: Outcome) -> None:
    """End the attempt.

    \f

    Args:
        port, api: the ledger for this attempt, and what answers runners, whose `wake` is called.
        outcome: how it ended, with the digest of the executed notebook.

    Raises:
        Fenced: the attempt has ended or was replaced.
    """
    await api.threads.run(port.finish, outcome)
    api.wake()
