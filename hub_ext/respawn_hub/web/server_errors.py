"""The outermost layer: whatever goes wrong inside, a request is answered and its connection goes on.

The hub's proxy sends many people's requests through a few connections that it keeps. Starlette's own layer
for unforeseen errors raises them again after its answer, the server closes the connection, and requests of
others that were under way in it are refused by the proxy. So nothing is raised beyond this one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from respawn_jobs.errors import RespawnError

logger = logging.getLogger(__name__)
UNFORESEEN = RespawnError("Respawn met an error of its own; the service's log tells more")


class AlwaysAnswers:
    """ASGI middleware that answers 500 for what nobody foresaw, lack of memory included.

    Args:
        app: what is inside.
        page: makes the answer; where it fails too, a plain one is sent.
    """

    def __init__(self, app: ASGIApp, page: Callable[[Request, Exception], Awaitable[Response]]) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def tracked(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, tracked)
        except Exception as error:  # nobody is above to handle it: it is written into the log, and answered
            logger.exception("%s %s failed", scope["method"], scope["path"])
            if begun:  # half an answer cannot be taken back: the connection must end with it
                raise
            answer = await self._answer(Request(scope, receive), error)
            await answer(scope, receive, send)

    async def _answer(self, request: Request, error: Exception) -> Response:
        try:
            return await self._page(request, error)
        except Exception:  # whatever broke the request may break the page as well; this needs next to nothing
            logger.exception("the page for an error failed")
            return JSONResponse(UNFORESEEN.as_dict(), status_code=500)
