"""The executed notebook of a run, for people: as a file, as a page to keep, and in JupyterLab."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from respawn_hub.auth.dependencies import PageServiceDep, VisitorDep
from respawn_hub.auth.runtime import Runtime, RuntimeDep
from respawn_hub.rendering.export import page_of
from respawn_hub.web.streaming import NOTEBOOK, attachment, streamed
from respawn_jobs.model.runs import Run

router = APIRouter(include_in_schema=False)
CLOSED = {"Content-Security-Policy": "sandbox; default-src 'none'"}
"""Headers of a notebook that is sent as a file: opened all the same, it does nothing."""


@router.get("/runs/{run}/notebook")
async def notebook(run: str, service: PageServiceDep) -> Response:
    """Send the executed notebook, as far as it came, as a file to save."""
    detail = await run_in_threadpool(service.show, run)
    answer = await streamed(lambda: service.stream_notebook(run), run_in_threadpool, media_type=NOTEBOOK)
    answer.headers.update(attachment(f"{_name(detail.run)}.ipynb") | CLOSED)
    return answer


@router.get("/runs/{run}/notebook.html")
def html(run: str, service: PageServiceDep) -> Response:
    """Send the executed notebook, as far as it came, as a page to save: whole in itself, without scripts."""
    text = service.notebook(run)
    name = _name(service.show(run).run)
    headers = attachment(f"{name}.html") | CLOSED
    return Response(page_of(text, name), media_type="text/html; charset=utf-8", headers=headers)


@router.get("/open/{run}")
def open_copy(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Send the browser to the visitor's own server, which copies the executed notebook and opens it.

    Args:
        run: id of the run.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the hub's addresses.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    service.show(run)
    return to_server(f"respawn/open/{quote(run)}", visitor, runtime)


def to_server(path: str, visitor: VisitorDep, runtime: Runtime) -> Response:
    """Send the browser to a path of the visitor's own server, which JupyterHub's `spawn` page starts first.

    Args:
        path: the path below the server's base URL, quoted, without a leading slash.
        visitor: whose server it is.
        runtime: the running service, whose settings name the hub's addresses.
    """
    hub = runtime.hub_settings
    user = quote(visitor.actor.name, safe="@~")
    target = f"{hub.base_url.rstrip('/')}/user/{user}/{path}"
    return RedirectResponse(f"{hub.hub_pages}spawn/{user}?{urlencode({'next': target})}", 302)


def to_running_server(path: str, account: str, server: str, runtime: Runtime) -> Response:
    """Send the browser to a path of a named server that runs.

    Args:
        path: the path below the server's base URL, quoted, without a leading slash.
        account: the hub's user whose server it is.
        server: its name at the hub.
        runtime: the running service, whose settings name the hub's addresses.
    """
    base = runtime.hub_settings.hub_pages.removesuffix("hub/")
    user, name = quote(account, safe="@~"), quote(server, safe="")
    return RedirectResponse(f"{base}user/{user}/{name}/{path}", 302)


def file_name(job: str) -> str:
    """Return a job's name as the name of a file."""
    return re.sub(r"[^\w.-]", "_", job).lstrip(".") or "notebook"


def _name(run: Run) -> str:
    return f"{file_name(run.job.rpartition('/')[2])}-{run.id}"
