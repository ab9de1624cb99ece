"""What runs keep: listed for programs, and fetched by programs and from the run's page.

An artifact is whatever somebody's notebook made, so it is sent as a file to save, never as one to show.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool

from respawn_hub.auth import AskedFirst, PageServiceDep, ServiceDep
from respawn_hub.handlers.problems import PROBLEMS, sends
from respawn_hub.handlers.streams import BYTES, attachment, streamed
from respawn_jobs.ledger.service import ActorService
from respawn_jobs.models import Artifact

router = APIRouter(prefix="/api", tags=["people"], responses=PROBLEMS, route_class=AskedFirst)
pages = APIRouter(include_in_schema=False)
NumberQuery = Annotated[int | None, Query(ge=1)]


@router.get("/runs/{run}/artifacts")
def artifacts(run: str, service: ServiceDep) -> list[Artifact]:
    """List what a run keeps, by name; of each name the newest first."""
    return service.artifacts(run)


@router.get("/runs/{run}/artifacts/{name}", response_class=Response, responses=sends(BYTES))
async def artifact(run: str, name: str, service: ServiceDep, number: NumberQuery = None) -> Response:
    """Return an artifact's file, by default the latest of the name."""
    return await _file(service, run, name, number)


@pages.get("/runs/{run}/artifacts/{name}")
async def download(run: str, name: str, service: PageServiceDep, number: NumberQuery = None) -> Response:
    """Send an artifact as a file to save."""
    return await _file(service, run, name, number)


async def _file(service: ActorService, run: str, name: str, number: int | None) -> Response:
    found, pieces = await run_in_threadpool(service.stream_artifact, run, name, number)
    answer = await streamed(lambda: pieces, run_in_threadpool)
    answer.headers.update(attachment(found.file))
    answer.headers["Content-Length"] = str(found.size)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return answer
