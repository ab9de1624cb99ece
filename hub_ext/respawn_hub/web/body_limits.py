"""How much of a request's body is taken, so that nobody can fill the service's memory.

A body larger than its limit is refused with 413, whether it announces its length or not. Who sends it is
asked first: see `respawn_hub.auth.dependencies.AskedFirst`. Blobs that runners put have no limit, since they
pass through a file; so do archives, whose handler has a limit of its own.
"""

from __future__ import annotations

import re

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from respawn_jobs.api.address import API
from respawn_jobs.ledger.triggers.webhooks import MAX_BYTES
from respawn_jobs.model.base import check_elements
from respawn_kernels.sizes import how_large

MEBIBYTE = 1 << 20
PEOPLE = 64 * MEBIBYTE
"""Bytes of a request from a person: notebooks, forms with an uploaded notebook."""
WORDS = MEBIBYTE
"""Bytes of a form without files: each sign of it costs its parser as much as a whole field would."""
RUNNERS = 16 * MEBIBYTE
"""Bytes of a runner's JSON document."""
HOOKS = MAX_BYTES
"""Bytes of a call of a webhook, which comes from who knows whom."""
_WORDS = "application/x-www-form-urlencoded"
_HOOK = re.compile(r"/hooks/[^/]*$")
_RUNNER = re.compile(r"/runner/[^/]+/")
_ARCHIVE = f"{API}/runs/import"
_BLOB = re.compile(r"/runner/[^/]+/blobs/[^/]+$")


async def check_size(route: APIRoute, request: Request) -> None:
    """Refuse a JSON document of more elements than any that is meant, before it is parsed.

    Raises:
        InvalidInput: it has more.
    """
    if route.body_field is not None:
        check_elements(await request.body())


class BodyLimits:
    """ASGI middleware that ends a request as soon as its body is larger than it may be."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        most = self._most(scope) if scope["type"] == "http" else None
        await self._app(scope, receive if most is None else _Counted(scope, receive, most), send)

    def _most(self, scope: Scope) -> int | None:
        path = scope["path"].removeprefix(self._prefix)
        if scope["method"] == "PUT" and _BLOB.match(path):
            return None
        if scope["method"] == "POST" and path == _ARCHIVE:
            return None
        if _HOOK.match(path):
            return HOOKS
        if _WORDS in Headers(scope=scope).get("Content-Type", "").lower():
            return WORDS
        return RUNNERS if _RUNNER.match(path) else PEOPLE


class _Counted:
    """The body as it comes in, until it is too much."""

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        length = Headers(scope=scope).get("Content-Length", "")
        self._seen = 0
        self._length = int(length) if length.isdecimal() else 0
        self._receive = receive
        self._most = most

    async def __call__(self) -> Message:
        # Refused when it is read, not before: a handler that asks who sends it comes first.
        if self._length > self._most:
            raise self._refusal()
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._most:
            raise self._refusal()
        return message

    def _refusal(self) -> HTTPException:
        return HTTPException(413, f"the request is larger than {how_large(self._most)}")
