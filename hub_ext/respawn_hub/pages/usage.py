"""The page of usage: what namespaces use, and how much they may."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth.dependencies import PageServiceDep, VisitorDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.pages.templating import page

router = APIRouter(include_in_schema=False)


@router.get("/usage")
def usage_page(visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Show what the namespaces use that the visitor may see, their own first.

    Args:
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.
    """
    own = f"user/{visitor.actor.name}"
    found = sorted(service.usage(), key=lambda one: (one.namespace != own, one.namespace))
    return page(runtime, visitor, "usage.html", found=found)
