"""The debug link: from a failed run to JupyterLab, by way of the hub, which starts the server if need be."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth.dependencies import PageServiceDep, VisitorDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.pages.notebooks import to_server

router = APIRouter(include_in_schema=False)


@router.get("/debug/{run}")
def debug(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Send the browser to the visitor's own server, which opens the run's debug notebook.

    Args:
        run: id of the failed run.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the hub's addresses.

    Raises:
        Conflict: the run has nothing to debug.
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    service.debug(run)
    return to_server(f"respawn/debug/{quote(run)}", visitor, runtime)
