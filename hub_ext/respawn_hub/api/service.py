"""The routes of `Service` whose answers are streams, or say more than the service does in-process."""

from __future__ import annotations

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from respawn_hub.api.operation_routes import people_router, serves
from respawn_hub.auth.dependencies import CallerDep, ServiceDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.web.problems import sends
from respawn_hub.web.streaming import BYTES, NOTEBOOK, streamed
from respawn_jobs.api.service import Service
from respawn_jobs.model.debug_bundle import DebugBundle


class Whoami(BaseModel):
    """Whom the caller's token stands for."""

    name: str


router = people_router()


@serves(router, Service.whoami)
def whoami(actor: CallerDep) -> Whoami:
    """Tell whom the token stands for."""
    return Whoami(name=actor.name)


@serves(router, Service.notebook, response_class=Response, responses=sends(NOTEBOOK))
async def notebook(run: str, service: ServiceDep) -> Response:
    """Return the executed notebook as far as it came."""
    return await streamed(lambda: service.stream_notebook(run), run_in_threadpool, media_type=NOTEBOOK)


@serves(router, Service.debug)
def debug(run: str, service: ServiceDep, runtime: RuntimeDep) -> DebugBundle:
    """Return what opens the failure in a notebook."""
    return service.debug(run).model_copy(update={"link": runtime.run_link(run)})


@serves(router, Service.blob, response_class=Response, responses=sends(BYTES))
async def blob(run: str, digest: str, service: ServiceDep) -> Response:
    """Return a blob that belongs to the run."""
    return await streamed(lambda: service.stream_blob(run, digest), run_in_threadpool)
