"""The REST API for people's programs: the `Service` interface, one route per method."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from respawn_hub.auth import AskedFirst, CallerDep, ServiceDep
from respawn_hub.handlers.problems import PROBLEMS, sends
from respawn_hub.handlers.streams import BYTES, NOTEBOOK, streamed
from respawn_hub.runtime import RuntimeDep
from respawn_jobs.models import (
    AuditRecord,
    DebugBundle,
    Job,
    Plan,
    Run,
    RunDetail,
    RunState,
    Schedule,
    Version,
)
from respawn_jobs.service import ResumeRequest, RunRequest, ScheduleRequest, Seen


class Whoami(BaseModel):
    """Whom the caller's token stands for."""

    name: str


class Kernel(BaseModel):
    """A kernel that jobs can use."""

    name: str
    display_name: str
    language: str


router = APIRouter(prefix="/api", tags=["people"], responses=PROBLEMS, route_class=AskedFirst)


@router.get("/whoami")
def whoami(actor: CallerDep) -> Whoami:
    """Tell whom the token stands for."""
    return Whoami(name=actor.name)


@router.get("/jobs")
def jobs(service: ServiceDep, namespace: str | None = None, archived: bool = False) -> list[Job]:
    """List the jobs that the caller may see: those at work, or the archived ones."""
    found = service.jobs(namespace, archived=archived)
    return [job.model_copy(update={"last_run": _listed(job.last_run)}) for job in found]


@router.get("/job")
def job(ref: str, service: ServiceDep) -> Job:
    """Return one job, by `namespace/name`, by bare name in the caller's namespace, or by id."""
    return service.job(ref)


@router.get("/job/versions")
def versions(ref: str, service: ServiceDep) -> list[Version]:
    """List a job's versions, newest first."""
    return service.versions(ref)


@router.post("/runs", status_code=201)
def run(request: RunRequest, service: ServiceDep, runtime: RuntimeDep) -> Run:
    """Queue a run of a job."""
    queued = service.run(request)
    runtime.wake()
    return queued


@router.get("/runs")
def runs(
    service: ServiceDep,
    job: str | None = None,
    state: Annotated[list[RunState] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: str | None = None,
    version: Annotated[int | None, Query(ge=1)] = None,
) -> list[Run]:
    """List runs, newest first; `before` pages: runs older than a time, or below the last run that came."""
    found = service.runs(job=job, states=state or (), limit=limit, before=before, version=version)
    return [_listed(run) for run in found]


R = TypeVar("R", Run, Run | None)


def _listed(run: R) -> R:
    """Return a run as lists show it: a traceback may be long, and is told where the run is shown."""
    if run is None or run.error is None:
        return run
    return run.model_copy(update={"error": run.error.model_copy(update={"traceback": ""})})


@router.get("/runs/{run}")
def show(run: str, service: ServiceDep) -> RunDetail:
    """Return a run with its cells, checkpoints and attempts."""
    return service.show(run)


@router.get("/runs/{run}/cells/{cell}/outputs")
def outputs(run: str, cell: int, service: ServiceDep) -> list[dict[str, Any]]:
    """Return the nbformat outputs of one cell as far as they came."""
    return service.outputs(run, cell)


@router.get("/runs/{run}/notebook", response_class=Response, responses=sends(NOTEBOOK))
async def notebook(run: str, service: ServiceDep) -> Response:
    """Return the executed notebook as far as it came."""
    return await streamed(lambda: service.stream_notebook(run), run_in_threadpool, media_type=NOTEBOOK)


@router.post("/runs/{run}/plan")
def plan(run: str, request: ResumeRequest, service: ServiceDep) -> Plan:
    """Tell what a resume would do; changes nothing."""
    return service.plan(run, request)


@router.post("/runs/{run}/resume", status_code=201)
def resume(run: str, request: ResumeRequest, service: ServiceDep, runtime: RuntimeDep) -> Run:
    """Queue a run that goes on from the state before the first cell that must execute."""
    resumed = service.resume(run, request)
    runtime.wake()
    return resumed


@router.post("/runs/{run}/restart", status_code=201)
def restart(run: str, request: ResumeRequest, service: ServiceDep, runtime: RuntimeDep) -> Run:
    """Queue a run from the top, with the same parameters."""
    restarted = service.restart(run, request)
    runtime.wake()
    return restarted


@router.post("/runs/{run}/retry")
def retry(run: str, service: ServiceDep, runtime: RuntimeDep, request: Seen | None = None) -> Run:
    """Start a run that waits for its next try now, or queue a new one that goes on from an ended run."""
    again = service.retry(run, request)
    runtime.wake()
    return again


@router.post("/runs/{run}/cancel")
def cancel(run: str, service: ServiceDep, runtime: RuntimeDep, request: Seen | None = None) -> Run:
    """Ask a queued or running run to stop."""
    cancelled = service.cancel(run, request)
    runtime.wake()
    return cancelled


@router.get("/runs/{run}/debug")
def debug(run: str, service: ServiceDep, runtime: RuntimeDep) -> DebugBundle:
    """Return what opens the failure in a notebook."""
    return service.debug(run).model_copy(update={"link": runtime.run_link(run)})


@router.get("/runs/{run}/blobs/{digest}", response_class=Response, responses=sends(BYTES))
async def blob(run: str, digest: str, service: ServiceDep) -> Response:
    """Return a blob that belongs to the run."""
    return await streamed(lambda: service.stream_blob(run, digest), run_in_threadpool)


@router.post("/schedules", status_code=201)
def schedule(request: ScheduleRequest, service: ServiceDep, runtime: RuntimeDep) -> Schedule:
    """Add a schedule to a job."""
    added = service.schedule(request)
    runtime.wake()
    return added


@router.get("/schedules/preview")
def preview(
    cron: str, tz: str, service: ServiceDep, count: Annotated[int, Query(ge=1, le=50)] = 5
) -> list[datetime]:
    """Return the next fires of a schedule, in its zone."""
    return service.preview(cron, tz, count)


@router.delete("/schedules/{schedule}", status_code=204)
def unschedule(schedule: str, service: ServiceDep) -> None:
    """Remove a schedule; its runs stay."""
    service.unschedule(schedule)


@router.get("/audit")
def audit(service: ServiceDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[AuditRecord]:
    """Return the newest audit records that the caller may see."""
    return service.audit(limit)


@router.get("/kernels")
def kernels(actor: CallerDep) -> list[Kernel]:
    """List the kernels that jobs can use."""
    from jupyter_client.kernelspec import KernelSpecManager

    found = KernelSpecManager().get_all_specs()
    return [
        Kernel(name=name, display_name=entry["spec"]["display_name"], language=entry["spec"]["language"])
        for name, entry in sorted(found.items())
    ]
