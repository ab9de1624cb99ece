"""The pages between a link and JupyterLab, and what moves them on: of a debug notebook, and of a copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado import web
from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError

from respawn_jobs.errors import InvalidInput
from respawn_jobs.ids import is_id
from respawn_server.shared import KEY, RespawnHandler

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)


class DebugPage(JupyterHandler):
    """GET /respawn/debug/<run>: shows the steps; its script asks for them with `OpeningStream`.

    By itself it executes nothing of the run, and shows nothing to whoever sent the link: that may be anybody.
    Where a person goes to it, a kernel boots while it loads, which ends again if the script does not ask.
    """

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def get(self, run: str) -> None:
        """Answer the page."""
        _answer_page(self, run, "debug.html")
        if _goes_to(self.request.headers):
            self.settings[KEY].openings.foresee(run)


class OpeningStream(RespawnHandler):
    """POST /respawn/api/debug/<run>: opens the run's failure; answers one JSON message per line.

    The body may hold `{"confirm": true}`: the person agreed to restore what somebody else has stored.
    """

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self, run: str) -> None:
        """Stream the messages of `respawn_server.openings` until the last.

        Raises:
            InvalidInput: the address names no run, or the body is no JSON object.
        """
        if not is_id("run", run):
            raise InvalidInput(f"{run!r} is not the id of a run")
        confirmed = bool(self.request.body) and self.body().get("confirm") is True
        self.set_header("Content-Type", "application/x-ndjson")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        try:
            async for message in self.shared.openings.watch(run, confirmed=confirmed):
                self.write(json.dumps(message) + "\n")
                await self.flush()
        except StreamClosedError:
            # The page was closed; the opening goes on and the next page joins it.
            self.log.debug("respawn: nobody watches the opening of %s any more", run)


class OpenPage(JupyterHandler):
    """GET /respawn/open/<run>: its script asks for a copy of the run's notebook, and opens it.

    By itself it does nothing: a link to it may be anybody's.
    """

    auth_resource = KEY

    @web.authenticated
    @authorized
    def get(self, run: str) -> None:
        """Answer the page."""
        _answer_page(self, run, "open.html")


class CopyHandler(RespawnHandler):
    """POST /respawn/api/open/<run>: keeps a copy of the run's executed notebook on this server."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self, run: str) -> None:
        """Answer `{"path"}`, below the server's root.

        Raises:
            InvalidInput: the address names no run.
            NotFound, Forbidden: there is no such run, or this server's user may not read it.
            Conflict: there are too many copies of a run that has not ended.
        """
        if not is_id("run", run):
            raise InvalidInput(f"{run!r} is not the id of a run")
        # The state first: a run that ends in between counts as one that had not.
        detail = await self.call(lambda service: service.show(run))
        text = await self.call(lambda service: service.notebook(run))
        self.answer({"path": await self.shared.notebooks.keep_copy(detail.run, text)}, 201)


def _goes_to(headers: HTTPHeaders) -> bool:
    """Return whether the browser says that a person goes to a page: it is no image, frame or prefetch."""
    return headers.get("Sec-Fetch-Dest") == "document" and "Sec-Purpose" not in headers


def _answer_page(handler: JupyterHandler, run: str, name: str) -> None:
    if not is_id("run", run):
        raise web.HTTPError(422, "%r is not the id of a run", run, reason="Not the id of a run")
    pages = handler.settings[KEY].pages
    handler.set_header("Cache-Control", "no-store")
    handler.finish(
        _TEMPLATES.get_template(name).render(
            run=run,
            base_url=handler.base_url,
            xsrf=handler.xsrf_token.decode("ascii", "replace"),
            run_page=f"{pages}/runs/{run}" if pages else None,
        )
    )


_RUN = r"(?P<run>[A-Za-z0-9_-]+)"
ROUTES: list[tuple[str, Any]] = [
    (rf"debug/{_RUN}", DebugPage),
    (rf"api/debug/{_RUN}", OpeningStream),
    (rf"open/{_RUN}", OpenPage),
    (rf"api/open/{_RUN}", CopyHandler),
]
