"""The REST API for the life of jobs: the `JobLifeService` interface, one route per method."""

from __future__ import annotations

from fastapi import APIRouter

from respawn_hub.auth import AskedFirst, ServiceDep
from respawn_hub.handlers.problems import PROBLEMS
from respawn_hub.runtime import RuntimeDep
from respawn_jobs.models import Job
from respawn_jobs.service_versions import CurrentRequest, JobChange

router = APIRouter(prefix="/api", tags=["people"], responses=PROBLEMS, route_class=AskedFirst)


@router.put("/job/current")
def make_current(ref: str, request: CurrentRequest, service: ServiceDep) -> Job:
    """Let new runs use a version of the job, older or newer."""
    return service.make_current(ref, request)


@router.patch("/job")
def change_job(ref: str, change: JobChange, service: ServiceDep, runtime: RuntimeDep) -> Job:
    """Rename a job, archive it, or take it out of the archive."""
    changed = service.change_job(ref, change)
    runtime.wake()
    return changed


@router.delete("/job", status_code=204)
def remove_job(ref: str, service: ServiceDep) -> None:
    """Remove an archived job with its versions, runs and triggers, for good."""
    service.remove_job(ref)


@router.delete("/job/versions/{number}", status_code=204)
def remove_version(number: int, ref: str, service: ServiceDep) -> None:
    """Remove a version that new runs do not use, and no run or version names."""
    service.remove_version(ref, number)


@router.delete("/runs/{run}", status_code=204)
def remove_run(run: str, service: ServiceDep) -> None:
    """Remove an ended run with all it keeps."""
    service.remove_run(run)
