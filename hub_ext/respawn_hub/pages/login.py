"""Signing in through the hub, and out again."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from respawn_hub.auth.dependencies import FormDep, StrangeForm, Visitor, VisitorDep
from respawn_hub.auth.runtime import Runtime, RuntimeDep
from respawn_hub.auth.sessions import SignIn
from respawn_hub.hub.client import new_verifier
from respawn_hub.pages.templating import page
from respawn_jobs.errors import Forbidden, Unauthenticated

router = APIRouter(include_in_schema=False)
_FORM = re.compile(r"(?:jobs|runs)(?:/(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f\x7f]+)+")
"""Addresses below the prefix that forms of jobs and runs are sent to; asked for, they lead to the page."""


def sign_in(runtime: Runtime, target: str, cookies: Mapping[str, str]) -> Response:
    """Send a browser to the hub, which sends it back when it is signed in.

    This is OAuth 2.0's authorization code (RFC 6749, section 4.1) with PKCE (RFC 7636).

    Args:
        runtime: the running service, with the hub's addresses and the service's cookies.
        target: path of this service, with its prefix, that the browser comes to when it is signed in.
        cookies: those of the request, by name; the oldest of too many open sign-ins among them are removed.
    """
    state, verifier = secrets.token_urlsafe(16), new_verifier()
    response = RedirectResponse(runtime.hub.authorize_url(state, verifier), status_code=302)
    runtime.sessions.begin(response, state, SignIn(target, verifier), cookies)
    return response


@router.get("/oauth_callback")
def callback(
    request: Request, runtime: RuntimeDep, state: str = "", code: str = "", error: str = ""
) -> Response:
    """End the sign-in: the hub sends the browser here with a code (RFC 6749, section 4.1.2).

    Args:
        request: the browser's request, whose cookies hold the sign-in that it began.
        runtime: the running service, with the hub's client and the service's cookies.
        state: the random word of that sign-in; empty when the hub sent none.
        code: what the browser's token is asked for with; empty when the hub sent none.
        error: why the hub refused, as its error code; empty when it did not.

    Raises:
        Forbidden: the hub refused the sign-in.
        Unauthenticated: the sign-in is older than ten minutes, or of another browser, or its code is not
            valid.
        Unavailable: the hub does not answer.
    """
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


def unsent_form(path: str, runtime: Runtime) -> str | None:
    """Return a form's address below the prefix, as in `unsent?form=`; None for what is no page's form."""
    prefix = runtime.hub_settings.prefix
    below = path.removeprefix(prefix) if path.startswith(prefix) else ""
    return below if _FORM.fullmatch(below) else None


@router.get("/unsent")
def unsent(
    visitor: VisitorDep, runtime: RuntimeDep, form: Annotated[str, Query(max_length=1000)] = ""
) -> Response:
    """Say that a form which somebody sent while signed out did nothing, and lead back to it.

    Args:
        visitor: who is signed in now.
        runtime: the running service, whose settings name the page's addresses.
        form: the form's address below the prefix; any text that is no form's address is left out.
    """
    back = form if _FORM.fullmatch(form) else ""
    return unsent_page(runtime, visitor, back)


def unsent_page(
    runtime: Runtime, visitor: Visitor | None, form: str, problem: StrangeForm | None = None
) -> Response:
    """Return the page that tells that a form did nothing.

    Args:
        runtime: the running service.
        visitor: who looks.
        form: the form's address below the prefix; empty where it is not known.
        problem: why it was refused; None when it was sent by somebody who was signed out.
    """
    status = problem.status if problem else 200
    message = problem.message if problem else None
    return page(runtime, visitor, "unsent.html", status=status, form=form, problem=message)


@router.post("/sign-out")
def sign_out(form: FormDep, runtime: RuntimeDep) -> Response:
    """Sign out of the service and of the hub."""
    response = RedirectResponse(f"{runtime.hub_settings.hub_pages}logout", status_code=303)
    runtime.sessions.close(response)
    return response
