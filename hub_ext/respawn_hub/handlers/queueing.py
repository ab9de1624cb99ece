"""The REST API for queues: the `QueueingService` interface, one route per method; and the page of usage."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth import AskedFirst, PageServiceDep, ServiceDep, VisitorDep
from respawn_hub.handlers.problems import PROBLEMS
from respawn_hub.runtime import RuntimeDep
from respawn_hub.templating import page
from respawn_jobs.models import Job
from respawn_jobs.service_queueing import Limit, LimitRequest, Replica, Usage

router = APIRouter(prefix="/api", tags=["people"], responses=PROBLEMS, route_class=AskedFirst)
pages = APIRouter(include_in_schema=False)


@router.patch("/job/settings")
def configure(ref: str, changes: dict[str, Any], service: ServiceDep, runtime: RuntimeDep) -> Job:
    """Change settings of a job, those that the body names; null gives a setting its default back."""
    job = service.configure(ref, changes)
    runtime.wake()
    return job


@router.get("/limits")
def limits(service: ServiceDep) -> list[Limit]:
    """List the limits that bind the caller: of namespaces, users and queues."""
    return service.limits()


@router.put("/limits")
def limit(request: LimitRequest, service: ServiceDep, runtime: RuntimeDep) -> list[Limit]:
    """Set a limit, or remove it with `most` null; for administrators."""
    changed = service.limit(request)
    runtime.wake()
    return changed


@router.get("/usage")
def usage(service: ServiceDep) -> list[Usage]:
    """List what namespaces use, and how much they may."""
    return service.usage()


@pages.get("/usage")
def usage_page(visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Show what the namespaces use that the visitor may see."""
    own = f"user/{visitor.actor.name}"
    found = sorted(service.usage(), key=lambda one: (one.namespace != own, one.namespace))
    return page(runtime, visitor, "usage.html", found=found)


@router.get("/replicas")
def replicas(service: ServiceDep) -> list[Replica]:
    """List the replicas of the service; for administrators."""
    return service.replicas()
