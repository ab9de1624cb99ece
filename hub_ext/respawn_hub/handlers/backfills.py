"""The REST API for backfills: the `BackfillService` interface, one route per method."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from respawn_hub.auth import AskedFirst, ServiceDep
from respawn_hub.handlers.problems import PROBLEMS
from respawn_hub.runtime import RuntimeDep
from respawn_jobs.service_backfills import Backfill, BackfillPreview, BackfillRequest, BackfillStop

router = APIRouter(prefix="/api/backfills", tags=["people"], responses=PROBLEMS, route_class=AskedFirst)


@router.post("/preview")
def preview(request: BackfillRequest, service: ServiceDep) -> BackfillPreview:
    """Tell what a backfill would make and what is wrong with it; changes nothing."""
    return service.preview_backfill(request)


@router.post("", status_code=201)
def backfill(request: BackfillRequest, service: ServiceDep, runtime: RuntimeDep) -> Backfill:
    """Run a job for a range of dates, or with each of some parameter sets."""
    started = service.backfill(request)
    runtime.wake()
    return started


@router.get("")
def backfills(
    service: ServiceDep, job: str | None = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[Backfill]:
    """List backfills, newest first."""
    return service.backfills(job, limit)


@router.get("/{backfill}")
def show(backfill: str, service: ServiceDep) -> Backfill:
    """Return one backfill and how far it is."""
    return service.show_backfill(backfill)


@router.post("/{backfill}/stop")
def stop(backfill: str, how: BackfillStop, service: ServiceDep, runtime: RuntimeDep) -> Backfill:
    """Let a backfill make no more runs, and cancel those that have not ended if that is wanted."""
    stopped = service.stop_backfill(backfill, cancel=how.cancel)
    runtime.wake()
    return stopped
