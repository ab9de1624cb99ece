"""The REST API for namespaces: the `NamespaceService` interface, one route per method; for administrators."""

from __future__ import annotations

from fastapi import APIRouter

from respawn_hub.auth import AskedFirst, CallerDep, ServiceDep
from respawn_hub.handlers.problems import PROBLEMS
from respawn_hub.runtime import RuntimeDep
from respawn_jobs.service_namespaces import MoveRequest, Namespace, NamespaceRequest

router = APIRouter(prefix="/api", tags=["people"], responses=PROBLEMS, route_class=AskedFirst)


@router.get("/namespaces")
def namespaces(service: ServiceDep) -> list[Namespace]:
    """List the namespaces that hold jobs or are not active."""
    return service.namespaces()


@router.post("/namespaces/retire")
def retire(request: NamespaceRequest, service: ServiceDep, runtime: RuntimeDep) -> Namespace:
    """Close a namespace for good: its open runs are cancelled, what it holds is set aside."""
    retired = service.retire(request.namespace)
    runtime.wake()
    return retired


@router.post("/namespaces/move")
def move(request: MoveRequest, actor: CallerDep, runtime: RuntimeDep) -> Namespace:
    """Give all that a namespace holds to another one, whose triggers go on."""
    moved = runtime.people.move(actor, request)
    runtime.wake()
    return moved
