"""The runners' API as an application of its own: what the process answers that nobody but runners asks."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.responses import Response

from respawn_hub.runners import routes
from respawn_hub.runners.context import RunnerApi
from respawn_hub.web.body_limits import BodyLimits
from respawn_hub.web.refusals import RefusalResponse, answer_refusals
from respawn_hub.web.server_errors import UNFORESEEN, AlwaysAnswers
from respawn_jobs.errors import RespawnError

HEALTH = "/health"


def create_runner_app(api: RunnerApi) -> FastAPI:
    """Build the application: the routes of runners at the root, and a sign of life at `/health`."""
    app = FastAPI(title="Respawn, for runners", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(routes.router)
    app.add_api_route(HEALTH, _alive, methods=["GET"])
    app.add_middleware(BodyLimits, prefix="/")
    app.add_middleware(AlwaysAnswers, page=_unforeseen)
    app.add_exception_handler(RespawnError, _refused)
    answer_refusals(app, _answer)
    app.state.runner_api = api
    return app


async def _alive() -> dict[str, str]:
    """Answer without asking anything of anybody."""
    return {"status": "ok"}


async def _answer(_: Request, status: int, refusal: RespawnError) -> Response:
    return RefusalResponse(refusal.as_dict(), status_code=status)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RespawnError):
        raise TypeError(f"not an error of ours: {error!r}")
    return await _answer(request, error.status, error)


async def _unforeseen(request: Request, error: Exception) -> Response:
    return await _answer(request, UNFORESEEN.status, UNFORESEEN)
