"""What a refused or failed request answers: JSON for programs, a page for people."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from respawn_hub.auth.dependencies import SignInNeeded, StrangeForm, Visitor, visitor
from respawn_hub.auth.runtime import Runtime
from respawn_hub.pages.login import sign_in, unsent_form, unsent_page
from respawn_hub.pages.templating import page
from respawn_hub.web.refusals import RefusalResponse, answer_refusals
from respawn_hub.web.server_errors import UNFORESEEN
from respawn_jobs.errors import RespawnError

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
    answer_refusals(app, _answer)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RespawnError):
        raise TypeError(f"not an error of ours: {error!r}")
    runtime: Runtime = request.app.state.runtime
    if isinstance(error, SignInNeeded) and _is_navigation(request):
        return sign_in(runtime, _after_sign_in(request, runtime), request.cookies)
    form = unsent_form(request.scope["path"], runtime)
    if isinstance(error, StrangeForm) and form is not None and _sends_a_form(request):
        looks = await _visitor(request, runtime)
        return await run_in_threadpool(lambda: unsent_page(runtime, looks, form, error))
    return await _answer(request, error.status, error)


def _after_sign_in(request: Request, runtime: Runtime) -> str:
    """Return where a browser goes when it is signed in: what it asked for, or what tells of its form."""
    if request.method == "GET":
        return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    form = unsent_form(request.scope["path"], runtime)
    if form is None:
        return runtime.hub_settings.prefix
    return f"{runtime.hub_settings.prefix}unsent?{urlencode({'form': form})}"


async def unforeseen(request: Request, error: Exception) -> Response:
    """Answer a request in which something went wrong that nobody foresaw."""
    return await _answer(request, UNFORESEEN.status, UNFORESEEN)


async def _answer(request: Request, status: int, refusal: RespawnError) -> Response:
    document: dict[str, Any] = refusal.as_dict()
    runtime: Runtime = request.app.state.runtime
    path = request.url.path.removeprefix(runtime.hub_settings.prefix)
    wants_page = "text/html" in request.headers.get("Accept", "")
    if path.startswith(("api/", "runner/")) or not wants_page:
        return RefusalResponse(document, status_code=status)
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
    """Return who looks at an error page, when that is known; the page works without."""
    try:
        return await visitor(request, runtime)
    except RespawnError:
        return None


def _sends_a_form(request: Request) -> bool:
    """Return whether a person has sent a form and waits for a page."""
    wants_page = "text/html" in request.headers.get("Accept", "")
    return request.method == "POST" and wants_page and _is_navigation(request)


def _is_navigation(request: Request) -> bool:
    """Tell a person opening a page from a script or a frame that loads a piece of one."""
    return request.headers.get("Sec-Fetch-Dest", "document") == "document"
