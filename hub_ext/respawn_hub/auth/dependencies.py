"""Who asks: a person's browser with a session cookie, or a program with a hub token.

A cookie is sent by the browser whoever wrote the page, and pages of any user's server have the hub's origin
unless users have subdomains of their own. So what a session asks for must carry the form token that only our
own pages know, unless the browser says that a person navigates, and changes nothing by it: JupyterHub's rule
(`jupyterhub._xsrf_utils._needs_check_xsrf`). A token in the `Authorization` header proves itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import FormData

from respawn_hub.auth.runtime import Runtime, RuntimeDep
from respawn_hub.hub.client import HubUser
from respawn_hub.web.body_limits import PEOPLE, check_size
from respawn_jobs.access import Actor
from respawn_jobs.errors import Forbidden, Unauthenticated
from respawn_jobs.ledger.people.actor_service import ActorService

FORM_FIELD = "_form_token"
FORM_HEADER = "X-Form-Token"
_TOKEN = re.compile(r"[\x21-\x7e]{1,512}")
"""What a token can be: JupyterHub's own are of letters and digits, those of services are given by people."""
_SAFE = {"GET", "HEAD", "OPTIONS"}


class SignInNeeded(Unauthenticated):
    """A page was asked for without a session: the browser is sent to the hub."""


class StrangeForm(Forbidden):
    """What was sent lacks the form token that the pages of this session have; nothing was done."""


@dataclass(frozen=True)
class Visitor:
    """A person on our pages."""

    actor: Actor
    form_token: str
    """What the forms of the page that is shown carry."""
    token: str = field(repr=False)
    """The hub's, of the session."""


def actor_of(user: HubUser) -> Actor:
    """Return a hub user as the ledger knows them; a hub's service never stands for a person of its name."""
    name = user.name if user.kind == "user" else f"service:{user.name}"
    return Actor(name=name, scopes=user.scopes, groups=user.groups)


async def caller(request: Request, runtime: RuntimeDep) -> Actor:
    """Return who calls the API, by hub token or by session.

    Raises:
        Unauthenticated: neither came, or it is not valid any more.
        Forbidden: it may not enter, or a session's request lacks the form token.
    """
    scheme, given = get_authorization_scheme_param(request.headers.get("Authorization"))
    if scheme.lower() in ("token", "bearer") and given:
        user = await hub_user(runtime, given, changes=request.method not in _SAFE)
        if user is None:
            raise Unauthenticated("the hub does not know this token, or it has expired")
        return actor_of(user)
    token, user = await _signed_in(request, runtime)
    if user is None or token is None:
        raise Unauthenticated("a hub token is needed: send `Authorization: token <token>`")
    looks = request.method in _SAFE and _of_a_person(request)
    if not (looks or _has_form_token(request, runtime, token)):
        raise _strange_form()
    return actor_of(user)


async def visitor(request: Request, runtime: RuntimeDep) -> Visitor:
    """Return the person who looks at a page, or sends its form; of the latter `checked_form` asks more.

    Raises:
        SignInNeeded: there is no living session.
        Forbidden: a script of another page asks, which must not read what it shows.
    """
    token, user = await _signed_in(request, runtime)
    if user is None or token is None:
        raise SignInNeeded("please sign in")
    if not (_of_a_person(request) or _has_form_token(request, runtime, token)):
        raise _strange_form()
    return Visitor(actor_of(user), runtime.sessions.form_token(token), token)


async def checked_form(
    request: Request, visitor: Annotated[Visitor, Depends(visitor)], runtime: RuntimeDep
) -> FormData:
    """Return the fields of a form that one of our own pages sent.

    The form carries its session's token: the synchronizer token pattern of OWASP's Cross-Site Request Forgery
    Prevention Cheat Sheet. The visitor is known before the form is read.

    Args:
        request: the browser's request.
        visitor: who is signed in by its cookie.
        runtime: the running service, whose sessions know the form's token.

    Raises:
        Forbidden: the form has no token of this session.
        SignInNeeded: there is no living session.
    """
    form = await request.form(max_part_size=PEOPLE)
    if not runtime.sessions.form_token_matches(visitor.token, str(form.get(FORM_FIELD, ""))):
        raise _strange_form()
    return form


class AskedFirst(APIRoute):
    """A route that knows its caller before it reads the body, which a dependency alone comes too late for."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with the question before it."""
        handle = super().get_route_handler()

        async def asked(request: Request) -> Response:
            if request.method not in _SAFE:
                await caller(request, request.app.state.runtime)
            await check_size(self, request)
            return await handle(request)

        return asked


async def service(actor: Annotated[Actor, Depends(caller)], runtime: RuntimeDep) -> ActorService:
    """Return the ledger as the API's caller may use it."""
    return runtime.ledger.as_actor(actor)


async def page_service(visitor: Annotated[Visitor, Depends(visitor)], runtime: RuntimeDep) -> ActorService:
    """Return the ledger as the page's visitor may use it."""
    return runtime.ledger.as_actor(visitor.actor)


async def hub_user(
    runtime: Runtime, token: str, session: str = "", *, changes: bool = False
) -> HubUser | None:
    """Return whom a token stands for; only what is not known yet is asked of the hub, in its own threads.

    Args:
        runtime: the running service, with the hub's client and the threads for its questions.
        token: a token of the hub's API or of a browser's sign-in, as it came. The hub is not asked about a
            text that cannot be a token: the answer is None.
        session: value of the browser's `jupyterhub-session-id` cookie; empty for a program.
        changes: whether the request changes something: the hub's answer then holds for one second, not for
            five.

    Raises:
        Unavailable: the hub does not answer.
        Forbidden: the token is valid and has no access to this service.
    """
    if _TOKEN.fullmatch(token) is None:
        return None
    known, user = runtime.hub.recall(token, session, changes=changes)
    if known:
        return user
    return await runtime.hub_threads.run(partial(runtime.hub.user, token, session, changes=changes))


async def _signed_in(request: Request, runtime: Runtime) -> tuple[str | None, HubUser | None]:
    """Return the token of the browser's session and whom it stands for, as far as there are any."""
    token = runtime.sessions.token(request.cookies)
    if not token:
        return token, None
    changes = request.method not in _SAFE
    return token, await hub_user(runtime, token, _hub_session(request), changes=changes)


def _of_a_person(request: Request) -> bool:
    """Return whether a person navigates, or a page embeds something that its scripts do not get to see.

    Browsers leave `Sec-Fetch-Mode` out where the hub has no TLS and is not on this machine: that counts as
    navigation, as it does for JupyterHub.
    """
    mode = request.headers.get("Sec-Fetch-Mode", "navigate")
    same_origin = request.headers.get("Sec-Fetch-Site") == "same-origin"
    return mode == "navigate" or (mode == "no-cors" and same_origin and request.method in _SAFE)


def _has_form_token(request: Request, runtime: Runtime, token: str) -> bool:
    return runtime.sessions.form_token_matches(token, request.headers.get(FORM_HEADER, ""))


def _strange_form() -> StrangeForm:
    return StrangeForm("this form is too old or came from another site; reload the page and try again")


def _hub_session(request: Request) -> str:
    return request.cookies.get("jupyterhub-session-id", "")


CallerDep = Annotated[Actor, Depends(caller)]
ServiceDep = Annotated[ActorService, Depends(service)]
VisitorDep = Annotated[Visitor, Depends(visitor)]
PageServiceDep = Annotated[ActorService, Depends(page_service)]
FormDep = Annotated[FormData, Depends(checked_form)]
