"""For those who run the service: its health, and metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST

from respawn_hub.auth.dependencies import caller
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.monitoring.health import Health
from respawn_hub.web.problems import PROBLEMS, sends
from respawn_jobs.api.address import API
from respawn_jobs.errors import Forbidden

router = APIRouter(prefix=API, tags=["operations"])
metrics_router = APIRouter(tags=["operations"], responses=PROBLEMS)


@router.get("/health", responses={503: {"model": Health, "description": "The database does not answer."}})
async def health(runtime: RuntimeDep, response: Response) -> Health:
    """Return whether the service works and what is degraded; status 503 when it cannot. Needs no token."""
    probe = runtime.watching.probe
    if not probe.asked:
        await run_in_threadpool(probe.tick)
    found = probe.health(runtime.health())
    response.status_code = 503 if found.status == "down" else 200
    return found


async def may_scrape(request: Request, runtime: RuntimeDep) -> None:
    """Let pass who may read everything, or everybody when the administrator says so.

    Raises:
        Forbidden: the caller may not read everything.
    """
    if runtime.settings.metrics_open:
        return
    actor = await caller(request, runtime)
    if actor.readable() is not None:
        raise Forbidden(
            f"you ({actor.name}) may not read the metrics: "
            "that needs the scope custom:respawn:read for everything",
            actor=actor.name,
        )


@metrics_router.get(
    "/metrics", response_class=Response, responses=sends("text/plain"), dependencies=[Depends(may_scrape)]
)
def metrics(runtime: RuntimeDep) -> Response:
    """Return this replica's metrics in the text format of Prometheus."""
    return Response(runtime.watching.metrics.text(), media_type=CONTENT_TYPE_LATEST)
