"""The debug link: from a failed run to JupyterLab, by way of the hub, which starts the server if need be."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from fastapi import APIRouter
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from respawn_hub.auth import PageServiceDep, VisitorDep
from respawn_hub.runtime import RuntimeDep

router = APIRouter(include_in_schema=False)


@router.get("/debug/{run}")
def debug(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Send the browser to the visitor's own server. Refused for a run that has nothing to debug."""
    service.debug(run)
    hub = runtime.hub_settings
    user = quote(visitor.actor.name, safe="@~")
    target = f"{hub.base_url.rstrip('/')}/user/{user}/respawn/debug/{quote(run)}"
    return RedirectResponse(f"{hub.hub_pages}spawn/{user}?{urlencode({'next': target})}", 302)
