"""The debug link: from a failed run to JupyterLab, by way of the hub, which starts the server if need be."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth.dependencies import PageServiceDep, Visitor, VisitorDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.pages.notebooks import to_running_server, to_server
from respawn_jobs.errors import NotFound
from respawn_jobs.model.runs import RunDetail

router = APIRouter(include_in_schema=False)


def may_enter(detail: RunDetail, visitor: Visitor) -> bool:
    """Return whether the kernel of a run lives on in a server that somebody may enter.

    Args:
        detail: the run.
        visitor: who is signed in.
    """
    return detail.living is not None and visitor.actor.enters(detail.run.job.rpartition("/")[0])


@router.get("/debug/{run}")
def debug(
    run: str,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
    restored: bool = False,
) -> Response:
    """Send the browser to the server that opens the run's debug notebook.

    It is the job server where the kernel that failed lives on, if the visitor may enter that; else the
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
    detail = service.show(run)
    path = f"respawn/debug/{quote(run)}"
    if not restored and may_enter(detail, visitor):
        try:
            living = runtime.ledger.enter_kernel(visitor.actor, run)
        except NotFound:  # it has just ended
            return to_server(path, visitor, runtime)
        return to_running_server(path, living.account, living.server, runtime)
    return to_server(f"{path}?restored=true" if restored else path, visitor, runtime)
