"""Who asks: a person's browser with a session cookie, or a program with a hub token.

A cookie is sent by the browser whoever wrote the page, so what changes something must also carry the form
token that only our own pages know. A token in the `Authorization` header proves itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import FormData

from respawn_hub.hub import HubUser
from respawn_hub.runtime import RuntimeDep
from respawn_jobs.access import Actor
from respawn_jobs.errors import Forbidden, Unauthenticated
from respawn_jobs.service import Service

FORM_FIELD = "_form_token"
FORM_HEADER = "X-Form-Token"
_SAFE = {"GET", "HEAD", "OPTIONS"}


class SignInNeeded(Unauthenticated):
    """A page was asked for without a session: the browser is sent to the hub."""


@dataclass(frozen=True)
class Visitor:
    """A person on our pages."""

    actor: Actor
    form_token: str


def actor_of(user: HubUser) -> Actor:
    """Return a hub user as the ledger knows them; a hub's service never stands for a person of its name."""
    name = user.name if user.kind == "user" else f"service:{user.name}"
    return Actor(name=name, scopes=user.scopes, groups=user.groups)


def caller(request: Request, runtime: RuntimeDep) -> Actor:
    """Return who calls the API, by hub token or by session.

    Raises:
        Unauthenticated: neither came, or it is not valid any more.
        Forbidden: it may not enter, or a session's request lacks the form token.
    """
    scheme, given = get_authorization_scheme_param(request.headers.get("Authorization"))
    if scheme.lower() in ("token", "bearer") and given:
        user = runtime.hub.user(given)
        if user is None:
            raise Unauthenticated("the hub does not know this token, or it has expired")
        return actor_of(user)
    token = runtime.sessions.token(request.cookies)
    user = runtime.hub.user(token, _hub_session(request)) if token else None
    if user is None or token is None:
        raise Unauthenticated("a hub token is needed: send `Authorization: token <token>`")
    if request.method not in _SAFE:
        _check_form(runtime, token, request.headers.get(FORM_HEADER, ""))
    return actor_of(user)


def visitor(request: Request, runtime: RuntimeDep) -> Visitor:
    """Return the person who looks at a page. Raises SignInNeeded without a living session."""
    token = runtime.sessions.token(request.cookies)
    user = runtime.hub.user(token, _hub_session(request)) if token else None
    if user is None or token is None:
        raise SignInNeeded("please sign in")
    return Visitor(actor_of(user), runtime.sessions.form_token(token))


async def checked_form(request: Request, runtime: RuntimeDep) -> FormData:
    """Return the fields of a form that one of our own pages sent. Raises Forbidden for any other."""
    form = await request.form(max_part_size=64 * 1024 * 1024)
    token = runtime.sessions.token(request.cookies)
    if token is None:
        raise SignInNeeded("please sign in")
    _check_form(runtime, token, str(form.get(FORM_FIELD, "")))
    return form


def service(actor: Annotated[Actor, Depends(caller)], runtime: RuntimeDep) -> Service:
    """Return the ledger as the API's caller may use it."""
    return runtime.ledger.as_actor(actor)


def page_service(visitor: Annotated[Visitor, Depends(visitor)], runtime: RuntimeDep) -> Service:
    """Return the ledger as the page's visitor may use it."""
    return runtime.ledger.as_actor(visitor.actor)


def _check_form(runtime: RuntimeDep, token: str, given: str) -> None:
    if not runtime.sessions.form_token_matches(token, given):
        raise Forbidden("this form is too old or came from another site; reload the page and try again")


def _hub_session(request: Request) -> str:
    return request.cookies.get("jupyterhub-session-id", "")


CallerDep = Annotated[Actor, Depends(caller)]
ServiceDep = Annotated[Service, Depends(service)]
VisitorDep = Annotated[Visitor, Depends(visitor)]
PageServiceDep = Annotated[Service, Depends(page_service)]
FormDep = Annotated[FormData, Depends(checked_form)]
