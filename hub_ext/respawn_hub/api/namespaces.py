"""The route that moves a namespace: the hub is asked first whose it becomes."""

from __future__ import annotations

from respawn_hub.api.operation_routes import people_router, serves
from respawn_hub.auth.dependencies import CallerDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_jobs.api.namespaces import MoveRequest, Namespace, NamespaceService

router = people_router()


@serves(router, NamespaceService.move)
def move(request: MoveRequest, actor: CallerDep, runtime: RuntimeDep) -> Namespace:
    """Give all that a namespace holds to another one, whose triggers go on."""
    moved = runtime.people.move(actor, request)
    runtime.wake()
    return moved
