"""What a refused or failed request answers: JSON for programs, a page for people."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from respawn_hub.answering import UNFORESEEN
from respawn_hub.auth import SignInNeeded, Visitor, visitor
from respawn_hub.handlers.login import sign_in
from respawn_hub.refusals import BROKEN_OFF, Refusal, of_http, of_method, of_validation
from respawn_hub.runtime import Runtime
from respawn_hub.templating import page
from respawn_jobs.errors import RespawnError

logger = logging.getLogger(__name__)
_REMOVED = "This was removed"
_TITLES = {
    401: "Please sign in again",
    403: "Not allowed",
    404: "There is no such page",
    405: "That does not work here",
    409: "Not possible in this state",
    413: "That is too large",
    422: "Something in this request is wrong",
    503: "Not available right now",
}


def add_failures(app: FastAPI) -> None:
    """Teach the application its errors."""
    app.add_exception_handler(RespawnError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RespawnError):
        raise TypeError(f"not an error of ours: {error!r}")
    runtime: Runtime = request.app.state.runtime
    if isinstance(error, SignInNeeded) and _is_navigation(request):
        target = request.url.path if request.method == "GET" else runtime.hub_settings.prefix
        query = f"?{request.url.query}" if request.method == "GET" and request.url.query else ""
        return sign_in(runtime, target + query, request.cookies)
    return await _answer(request, error.status, error.as_dict())


async def _invalid(request: Request, error: Exception) -> Response:
    return await _answer(request, 422, of_validation(error).as_dict())


async def _http(request: Request, error: Exception) -> Response:
    status, refusal = of_http(error, request.url.path)
    answer = await _answer(request, status, refusal.as_dict())
    answer.headers.update(of_method(request, status))
    return answer


async def _gone(request: Request, error: Exception) -> Response:
    """Answer nobody: whoever asked went away in the middle of what they sent."""
    logger.info("%s %s was broken off by its sender", request.method, request.url.path)
    return Response(status_code=BROKEN_OFF)


async def unforeseen(request: Request, error: Exception) -> Response:
    """Answer a request in which something went wrong that nobody foresaw."""
    return await _answer(request, UNFORESEEN.status, UNFORESEEN.as_dict())


async def _answer(request: Request, status: int, document: dict[str, Any]) -> Response:
    runtime: Runtime = request.app.state.runtime
    path = request.url.path.removeprefix(runtime.hub_settings.prefix)
    wants_page = "text/html" in request.headers.get("Accept", "")
    if path.startswith(("api/", "runner/")) or not wants_page:
        return Refusal(document, status_code=status)
    looks = await _visitor(request, runtime)
    removed = status == 404 and "removed_by" in document.get("fields", {})
    context = {
        "title": _REMOVED if removed else _TITLES.get(status, "Something went wrong"),
        "code": status,
        "message": document["message"],
        "fields": document.get("fields", {}),
    }
    return await run_in_threadpool(lambda: page(runtime, looks, "error.html", status=status, **context))


async def _visitor(request: Request, runtime: Runtime) -> Visitor | None:
    """Return who looks at an error page, when that can be told; the page works without."""
    try:
        return await visitor(request, runtime)
    except RespawnError:
        return None


def _is_navigation(request: Request) -> bool:
    """Tell a person opening a page from a script or a frame that loads a piece of one."""
    return request.headers.get("Sec-Fetch-Dest", "document") == "document"
