"""The route that fetches what a run keeps.

An artifact is whatever somebody's notebook made, so it is sent as a file to save, never as one to show.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from fastapi.concurrency import run_in_threadpool

from respawn_hub.api.operation_routes import people_router
from respawn_hub.auth.dependencies import ServiceDep
from respawn_hub.web.problems import sends
from respawn_hub.web.streaming import BYTES, attachment, streamed
from respawn_jobs.ledger.people.actor_service import ActorService

router = people_router()
ALONE = {"Cache-Control": "no-store", "Content-Security-Policy": "sandbox; default-src 'none'"}
"""Headers of what somebody's notebook made: opened by itself, it reaches nothing."""
NumberQuery = Annotated[int | None, Query(ge=1)]


@router.get("/runs/{run}/artifacts/{name}", response_class=Response, responses=sends(BYTES))
async def artifact(run: str, name: str, service: ServiceDep, number: NumberQuery = None) -> Response:
    """Return an artifact's file, by default the latest of the name.
    \f
    Args:
        run: id of the run.
        name: what the notebook called the artifact.
        service: the service as the caller may use it.
        number: which of the artifacts with that name, counted from 1 in the order of keeping; None
            for the latest.
    """
    return await artifact_file(service, run, name, number)


async def artifact_file(service: ActorService, run: str, name: str, number: int | None) -> Response:
    """Return an artifact as a file to save.

    Args:
        service: the service as the caller may use it.
        run: id of the run.
        name: what the notebook called the artifact.
        number: which of the artifacts with that name, counted from 1; None for the latest.
    """
    found, pieces = await run_in_threadpool(service.stream_artifact, run, name, number)
    answer = await streamed(lambda: pieces, run_in_threadpool)
    answer.headers.update(attachment(found.file))
    answer.headers["Content-Length"] = str(found.size)
    answer.headers.update(ALONE)
    return answer
