"""The REST API for versions: promotion and its preview, notebooks of versions, and how they differ."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from respawn_hub.auth import AskedFirst, ServiceDep
from respawn_hub.handlers.problems import PROBLEMS, sends
from respawn_hub.handlers.streams import NOTEBOOK, streamed
from respawn_hub.runtime import RuntimeDep
from respawn_jobs.models import Schedule, Version
from respawn_jobs.service import Promotion
from respawn_jobs.service_versions import Comparison, PromotionPreview, ScheduleChange

router = APIRouter(prefix="/api", tags=["people"], responses=PROBLEMS, route_class=AskedFirst)


@router.post("/versions", status_code=201)
def promote(request: Promotion, service: ServiceDep, response: Response) -> Version:
    """Make a notebook a version of a job, and the job where it is new; 200 for what is current already."""
    promoted = service.promoted(request)
    if not promoted.made:
        response.status_code = 200
    return promoted.version


@router.post("/versions/preview")
def preview(request: Promotion, service: ServiceDep) -> PromotionPreview:
    """Tell what a promotion would do, and what must be agreed to; changes nothing."""
    return service.preview_promotion(request)


@router.get("/job/versions/{number}/notebook", response_class=Response, responses=sends(NOTEBOOK))
async def notebook(number: int, ref: str, service: ServiceDep) -> Response:
    """Return the notebook of a version, byte for byte."""
    return await streamed(
        lambda: service.stream_version_notebook(ref, number), run_in_threadpool, media_type=NOTEBOOK
    )


@router.get("/job/compare")
def compare(ref: str, old: int, new: int, service: ServiceDep) -> Comparison:
    """Tell how two versions of a job differ, cell by cell and line by line."""
    return service.compare_versions(ref, old, new)


@router.patch("/schedules/{schedule}")
def change_schedule(
    schedule: str, change: ScheduleChange, service: ServiceDep, runtime: RuntimeDep
) -> Schedule:
    """Change a schedule, pause it, or let it go on; what is null stays."""
    changed = service.change_schedule(schedule, change)
    runtime.wake()
    return changed
