"""What a request that was refused before a handler saw it is answered, as one of Respawn's own errors."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Mount

from respawn_jobs.errors import Forbidden, InvalidInput, NotFound, RespawnError
from respawn_jobs.model.validation_errors import in_words

logger = logging.getLogger(__name__)
_MAX_LISTED = 20
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_OF_FILES = ("GET", "HEAD")
"""What static files take, which are no routes of their own."""
_BROKEN_OFF = 499
"""What proxies write down for a request that its sender broke off; no client sees it."""


class RefusalResponse(JSONResponse):
    """A refusal as programs get it. It repeats what was sent, which may hold half of a surrogate pair."""

    def render(self, content: Any) -> bytes:
        """Return the document, with a question mark for each character that is none."""
        text = json.dumps(jsonable_encoder(content), ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


Answer = Callable[[Request, int, RespawnError], Awaitable[Response]]
"""Makes the answer to a request, of a status and a refusal."""


def answer_refusals(app: FastAPI, answer: Answer) -> None:
    """Have an application answer requests that were refused before a handler of its own saw them.

    Args:
        app: the application.
        answer: makes the answers, as whoever asked can read them.
    """

    async def invalid(request: Request, error: Exception) -> Response:
        return await answer(request, 422, _of_validation(error))

    async def http(request: Request, error: Exception) -> Response:
        status, refusal = _of_http(error, request.url.path)
        made = await answer(request, status, refusal)
        made.headers.update(_of_method(request, status))
        return made

    async def gone(request: Request, error: Exception) -> Response:
        """Answer nobody: whoever asked went away in the middle of what they sent."""
        logger.info("%s %s was broken off by its sender", request.method, request.url.path)
        return Response(status_code=_BROKEN_OFF)

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(ClientDisconnect, gone)


def _of_validation(error: Exception) -> InvalidInput:
    """Return the refusal of a request that does not have the form that its route takes."""
    problems = error.errors()[:_MAX_LISTED] if isinstance(error, RequestValidationError) else []
    message = "; ".join(in_words(problem) for problem in problems)
    fields = {"problems": [{"where": p["loc"], "message": p["msg"]} for p in problems]}
    return InvalidInput(message or "the request cannot be read", **fields)


def _of_method(request: Request, status: int) -> dict[str, str]:
    """Return the header with the methods that an address takes, for the answer to one that it does not."""
    if status != 405:
        return {}
    taken = [method for method in _METHODS if _takes(request, method)]
    return {"Allow": ", ".join(taken or _OF_FILES)}


def _takes(request: Request, method: str) -> bool:
    asked = {**request.scope, "method": method}
    routes = (route for route in request.app.routes if not isinstance(route, Mount))
    return any(route.matches(dict(asked))[0] is Match.FULL for route in routes)


def _of_http(error: Exception, path: str) -> tuple[int, RespawnError]:
    """Return the status and the refusal that stand for an error of the framework at a path."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = str(error.detail) if isinstance(error, HTTPException) else ""
    if status == 404:
        return status, NotFound(f"There is nothing at {path}", path=path)
    if status == 403:
        return status, Forbidden(message)
    if status == 400:  # a body that is no text, or is nested too deep: wrong input like any other
        return 422, InvalidInput(message)
    return status, InvalidInput(message) if status < 500 else RespawnError(message)
