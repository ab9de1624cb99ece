"""The routes of versions whose status or body is made here: promotion, and the notebook of a version."""

from __future__ import annotations

from fastapi import Response
from fastapi.concurrency import run_in_threadpool

from respawn_hub.api.operation_routes import people_router, serves
from respawn_hub.auth.dependencies import ServiceDep
from respawn_hub.web.problems import sends
from respawn_hub.web.streaming import BYTES, NOTEBOOK, attachment, streamed
from respawn_jobs.api.service import Promotion, Service
from respawn_jobs.model.jobs import Version

router = people_router()


@serves(router, Service.promote)
def promote(request: Promotion, service: ServiceDep, response: Response) -> Version:
    """Make a notebook a version of a job, and the job where it is new; 200 for what is current already."""
    promoted = service.promoted(request)
    if not promoted.made:
        response.status_code = 200
    return promoted.version


@serves(router, Service.version_notebook, response_class=Response, responses=sends(NOTEBOOK))
async def notebook(number: int, job: str, service: ServiceDep) -> Response:
    """Return the notebook of a version, byte for byte."""
    return await streamed(
        lambda: service.stream_version_notebook(job, number), run_in_threadpool, media_type=NOTEBOOK
    )


@serves(router, Service.version_file, response_class=Response, responses=sends(BYTES))
def carried_file(number: int, job: str, path: str, service: ServiceDep) -> Response:
    """Return a file that a version carries, to be saved: never shown as a page of the hub's."""
    data = service.version_file(job, number, path)
    return Response(data, media_type=BYTES, headers=attachment(path.rpartition("/")[2]))
