"""The debug link: from a failed run to JupyterLab, by way of the hub, which starts the server if need be."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth.dependencies import PageServiceDep, VisitorDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.pages.notebooks import to_running_server, to_server

router = APIRouter(include_in_schema=False)


@router.get("/debug/{run}")
def debug(
    run: str,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
    restored: bool = False,
) -> Response:
    """Send the browser to the server that opens the run's debug notebook.

    It is the job server where the kernel that failed lives on, if that is one of the visitor's own; else the
    visitor's own server, which restores.

    Args:
        run: id of the failed run.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the hub's addresses.
        restored: whether the state before the failing cell is wanted in any case.

    Raises:
        Conflict: the run has nothing to debug.
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    service.debug(run)
    living = None if restored else service.show(run).living
    path = f"respawn/debug/{quote(run)}"
    if living is not None and living.account == visitor.actor.name:
        return to_running_server(path, living.account, living.server, runtime)
    return to_server(f"{path}?restored=true" if restored else path, visitor, runtime)
