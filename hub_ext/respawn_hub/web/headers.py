"""Headers that every answer carries, so that a page runs no code but our own and nobody frames it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""Colours of tracebacks are style attributes of our own making; all text around them is escaped."""


class SafeHeaders:
    """ASGI middleware that adds them; a Content-Security-Policy of the handler's own is kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", POLICY)
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                if "/static/frames/" in str(scope["path"]):  # a sandboxed frame has no origin of its own
                    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
                    headers["Access-Control-Allow-Origin"] = "*"
                headers["X-Content-Type-Options"] = "nosniff"
                if not _is_static(scope):
                    headers.setdefault("Cache-Control", "no-store")
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _is_static(scope: Scope) -> bool:
    """Return whether a file is asked for that is the same for everybody, and named by its release."""
    return "/static/" in str(scope["path"])
