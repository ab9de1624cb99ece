"""Outputs with markup or scripts, as documents of their own without the hub's origin."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from respawn_hub.auth import PageServiceDep
from respawn_hub.rendering import SANDBOX, sandbox_document
from respawn_jobs.errors import NotFound

router = APIRouter(include_in_schema=False)


@router.get("/runs/{run}/cells/{cell}/outputs/{index}")
def output(run: str, cell: int, index: int, service: PageServiceDep) -> Response:
    """Return one output for its frame. The header keeps it in its sandbox also when opened by itself."""
    outputs = service.outputs(run, cell)
    document = sandbox_document(outputs[index]) if 0 <= index < len(outputs) else None
    if document is None:
        raise NotFound(f"cell {cell} of {run} has no output {index} that is shown in a frame")
    headers = {"Content-Security-Policy": SANDBOX, "Cache-Control": "no-store"}
    return HTMLResponse(document, headers=headers)
