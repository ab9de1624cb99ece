"""The runners' API as an application of its own: what the process answers that nobody but runners asks."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from respawn_hub.runners import routes
from respawn_hub.runners.context import RunnerApi
from respawn_hub.web.body_limits import BodyLimits
from respawn_hub.web.refusals import BROKEN_OFF, RefusalResponse, of_http, of_method, of_validation
from respawn_hub.web.server_errors import UNFORESEEN, AlwaysAnswers
from respawn_jobs.errors import RespawnError

logger = logging.getLogger(__name__)
HEALTH = "/health"


def create_runner_app(api: RunnerApi) -> FastAPI:
    """Build the application: the routes of runners at the root, and a sign of life at `/health`."""
    app = FastAPI(title="Respawn, for runners", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(routes.router)
    app.add_api_route(HEALTH, _alive, methods=["GET"])
    app.add_middleware(BodyLimits, prefix="/")
    app.add_middleware(AlwaysAnswers, page=_unforeseen)
    for kind, answer in (
        (RespawnError, _refused),
        (RequestValidationError, _invalid),
        (HTTPException, _http),
        (ClientDisconnect, _gone),
    ):
        app.add_exception_handler(kind, answer)
    app.state.runner_api = api
    return app


async def _alive() -> dict[str, str]:
    """Answer without asking anything of anybody."""
    return {"status": "ok"}


def _answer(status: int, refusal: RespawnError) -> Response:
    return RefusalResponse(refusal.as_dict(), status_code=status)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RespawnError):
        raise TypeError(f"not an error of ours: {error!r}")
    return _answer(error.status, error)


async def _invalid(request: Request, error: Exception) -> Response:
    return _answer(422, of_validation(error))


async def _http(request: Request, error: Exception) -> Response:
    status, refusal = of_http(error, request.url.path)
    answer = _answer(status, refusal)
    answer.headers.update(of_method(request, status))
    return answer


async def _gone(request: Request, error: Exception) -> Response:
    logger.info("%s %s was broken off by its sender", request.method, request.url.path)
    return Response(status_code=BROKEN_OFF)


async def _unforeseen(request: Request, error: Exception) -> Response:
    return _answer(UNFORESEEN.status, UNFORESEEN)
