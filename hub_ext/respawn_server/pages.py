"""The pages between a link and JupyterLab, and what moves them on: of a debug notebook, and of a copy."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado import web
from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError

from respawn_jobs.errors import InvalidInput
from respawn_jobs.ids import is_id
from respawn_server.opening_steps import Message
from respawn_server.shared import KEY, RespawnHandler

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
_PLUGIN = {"respawn", "respawn:plugin"}
"""By which the plugin is disabled (JupyterLab's `PageConfig.Extension.isDisabled`)."""
_TOGETHER = "jupyter_server_ydoc"
"""With it documents do not come as files: the plugin could not hold one back."""


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
        restored = self.get_query_argument("restored", "") == "true"
        shared = self.settings[KEY]
        living = not restored and shared.living.find(run) is not None
        _answer_page(self, run, "debug.html", restored=restored, living=living)
        if _goes_to(self.request.headers):
            shared.openings.foresee(run, restored=restored)


class OpeningStream(RespawnHandler):
    """/respawn/api/debug/<run>: answers one JSON message of an opening per line, to the last.

    POST opens the run's failure. The body may hold `{"confirm": true}`: the person agreed to restore what
    somebody else has stored; and `{"restored": true}`: the state before the failing cell is wanted, also
    where the kernel that failed lives on. GET begins nothing: it follows the opening that goes on, or has
    ended lately.
    """

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self, run: str) -> None:
        """Open the run's failure.

        Raises:
            InvalidInput: the address names no run, or the body is no JSON object.
        """
        _check(run)
        asked = self.body() if self.request.body else {}
        confirmed, restored = asked.get("confirm") is True, asked.get("restored") is True
        await self._stream(self.shared.openings.watch(run, confirmed=confirmed, restored=restored))

    @web.authenticated
    @authorized
    async def get(self, run: str) -> None:
        """Follow the opening of the run's failure.

        Raises:
            InvalidInput: the address names no run.
            NotFound: it is not being opened.
        """
        _check(run)
        await self._stream(self.shared.openings.follow(run))

    async def _stream(self, messages: AsyncIterator[Message]) -> None:
        self.set_header("Content-Type", "application/x-ndjson")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        try:
            async for message in messages:
                self.write(json.dumps(message) + "\n")
                await self.flush()
        except StreamClosedError:
            # The page was closed; the opening goes on and the next page joins it.
            self.log.debug("respawn: a page that watched an opening was closed")


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
        _check(run)
        # The state first: a run that ends in between counts as one that had not.
        detail = await self.call(lambda service: service.show(run))
        text = await self.call(lambda service: service.notebook(run))
        self.answer({"path": await self.shared.notebooks.keep_copy(detail.run, text)}, 201)


def _check(run: str) -> None:
    """Raises InvalidInput where a part of an address is not the id of a run."""
    if not is_id("run", run):
        raise InvalidInput(f"{run!r} is not the id of a run")


def _lab_waits(server: ServerApp | None) -> bool:
    """Return whether JupyterLab may be asked for a debug notebook whose variables are not there yet.

    Its plugin then loads the notebook when they are.

    Args:
        server: the Jupyter server, which may serve no JupyterLab.
    """
    if server is None:
        return False
    extensions = server.extension_manager
    lab = next(iter(extensions.extension_apps.get("jupyterlab", ())), None)
    if lab is None or _TOGETHER in extensions.extensions:
        return False
    from jupyterlab_server.config import get_page_config

    paths = [*lab.extra_labextensions_path, *lab.labextensions_path]
    config = get_page_config(paths, lab.app_settings_dir)
    found = {extension["name"] for extension in config["federated_extensions"]}
    return "respawn" in found and not _PLUGIN & set(config["disabledExtensions"])


def _goes_to(headers: HTTPHeaders) -> bool:
    """Return whether the browser says that a person goes to a page: it is no image, frame or prefetch."""
    return headers.get("Sec-Fetch-Dest") == "document" and "Sec-Purpose" not in headers


def _answer_page(handler: JupyterHandler, run: str, name: str, **more: bool) -> None:
    if not is_id("run", run):
        raise web.HTTPError(422, "%r is not the id of a run", run, reason="Not the id of a run")
    pages = handler.settings[KEY].pages
    handler.set_header("Cache-Control", "no-store")
    handler.finish(
        _TEMPLATES.get_template(name).render(
            run=run,
            base_url=handler.base_url,
            lab_waits=_lab_waits(handler.serverapp),
            xsrf=handler.xsrf_token.decode("ascii", "replace"),
            run_page=f"{pages}/runs/{run}" if pages else None,
            **more,
        )
    )


_RUN = r"(?P<run>[A-Za-z0-9_-]+)"
ROUTES: list[tuple[str, Any]] = [
    (rf"debug/{_RUN}", DebugPage),
    (rf"api/debug/{_RUN}", OpeningStream),
    (rf"open/{_RUN}", OpenPage),
    (rf"api/open/{_RUN}", CopyHandler),
]
