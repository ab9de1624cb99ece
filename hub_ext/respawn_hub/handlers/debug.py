"""The debug link: from a failed run to JupyterLab, by way of the hub, which starts the server if need be."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth import PageServiceDep, VisitorDep
from respawn_hub.handlers.notebooks import to_server
from respawn_hub.runtime import RuntimeDep

router = APIRouter(include_in_schema=False)


@router.get("/debug/{run}")
def debug(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Send the browser to the visitor's own server. Refused for a run that has nothing to debug."""
    service.debug(run)
    return to_server(f"respawn/debug/{quote(run)}", visitor, runtime)
