"""Signing in through the hub, and out again."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from respawn_hub.auth import FormDep
from respawn_hub.hub import new_verifier
from respawn_hub.runtime import Runtime, RuntimeDep
from respawn_hub.sessions import SignIn
from respawn_jobs.errors import Forbidden, Unauthenticated

router = APIRouter(include_in_schema=False)


def sign_in(runtime: Runtime, target: str, cookies: Mapping[str, str]) -> Response:
    """Send a browser to the hub; it comes back to `target`, a path of this service, when signed in."""
    state, verifier = secrets.token_urlsafe(16), new_verifier()
    response = RedirectResponse(runtime.hub.authorize_url(state, verifier), status_code=302)
    runtime.sessions.begin(response, state, SignIn(target, verifier), cookies)
    return response


@router.get("/oauth_callback")
def callback(
    request: Request, runtime: RuntimeDep, state: str = "", code: str = "", error: str = ""
) -> Response:
    """End of the sign-in: the hub sends the browser here with a code."""
    if error:
        raise Forbidden(f"the hub refused the sign-in: {error}")
    begun = runtime.sessions.sign_in(request.cookies, state)
    if begun is None or not code:
        raise Unauthenticated("this sign-in is too old or began elsewhere; open the page again")
    token = runtime.hub.token_for_code(code, begun.verifier)
    response = RedirectResponse(begun.next, status_code=302)
    runtime.sessions.open(response, token)
    runtime.sessions.finish(response, state)
    return response


@router.post("/sign-out")
def sign_out(form: FormDep, runtime: RuntimeDep) -> Response:
    """Sign out of the service and of the hub."""
    response = RedirectResponse(f"{runtime.hub_settings.hub_pages}logout", status_code=303)
    runtime.sessions.close(response)
    return response
