"""Single outputs of a run: frames without the hub's origin, pictures, texts by pieces; and artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.responses import Response

from respawn_hub.api.artifacts import ALONE, NumberQuery, artifact_file
from respawn_hub.auth.dependencies import PageServiceDep, VisitorDep
from respawn_hub.auth.runtime import Runtime, RuntimeDep
from respawn_hub.pages.templating import page
from respawn_hub.rendering import (
    WIDGET_STATE,
    Frame,
    frame_of,
    long_text,
    picture_of,
    policy,
    prose_frame,
    shows_widget,
    terminal_html,
)
from respawn_hub.rendering.artifact_previews import may_be_picture, picture_kind
from respawn_hub.web.streaming import attachment
from respawn_jobs.api.service import Service
from respawn_jobs.errors import NotFound
from respawn_jobs.ledger.people.actor_service import ActorService

router = APIRouter(include_in_schema=False)
_CLOSED = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
_MAX_POSITION = 10**12
Index = Annotated[int, Path(ge=0, le=10**6)]
Position = Annotated[int, Query(ge=0, le=_MAX_POSITION)]


@router.get("/runs/{run}/cells/{cell}/outputs/{index}")
def output(
    run: str, cell: Index, index: Index, request: Request, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Return one output for its frame. The header keeps it in its sandbox also when opened by itself.

    Args:
        run: id of the run.
        cell: index of the cell in the executed notebook, from 0.
        index: which of the cell's outputs, from 0.
        request: the browser's request; its `Host` goes into the frame's policy.
        service: the ledger with the rights of who is signed in.
        runtime: the running service, whose prefix leads to the frame's scripts.

    Raises:
        NotFound: there is no such run, cell or output, or the output is not shown in a frame.
        Forbidden: the visitor may not read the run.
    """
    outputs = service.outputs(run, cell)
    static = f"{runtime.hub_settings.prefix}static/"
    widgets = _widgets(service, run) if index < len(outputs) and shows_widget(outputs[index]) else None
    frame = frame_of(outputs, index, static, widgets)
    if frame is None:
        raise NotFound(f"cell {cell} of {run} has no output {index} that is shown in a frame")
    return framed(frame, request, runtime)


@router.get("/runs/{run}/cells/{cell}/prose")
def prose(run: str, cell: Index, request: Request, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Return a text cell for its frame.

    Args:
        run: id of the run.
        cell: index of the cell in the executed notebook, from 0.
        request: the browser's request; its `Host` goes into the frame's policy.
        service: the ledger with the rights of who is signed in.
        runtime: the running service, whose prefix leads to the frame's scripts.

    Raises:
        NotFound: there is no such run, or the cell is no text cell.
        Forbidden: the visitor may not read the run.
    """
    cells = json.loads(service.notebook(run)).get("cells", [])
    if cell >= len(cells) or cells[cell].get("cell_type") != "markdown":
        raise NotFound(f"{run} has no text cell {cell}")
    source = cells[cell].get("source", "")
    return framed(prose_frame("".join(source), f"{runtime.hub_settings.prefix}static/"), request, runtime)


@router.get("/runs/{run}/cells/{cell}/outputs/{index}/picture")
def picture(run: str, cell: Index, index: Index, service: PageServiceDep) -> Response:
    """Return an output's picture.

    Args:
        run: id of the run.
        cell: index of the cell in the executed notebook, from 0.
        index: which of the cell's outputs, from 0.
        service: the ledger with the rights of who is signed in.

    Raises:
        NotFound: there is no such run, cell or output, or the output is no picture.
        Forbidden: the visitor may not read the run.
    """
    outputs = service.outputs(run, cell)
    found = picture_of(outputs[index]) if index < len(outputs) else None
    if found is None:
        raise NotFound(f"cell {cell} of {run} has no picture {index}")
    return Response(found.data, media_type=found.kind, headers={"Content-Security-Policy": _CLOSED})


@router.get("/runs/{run}/cells/{cell}/outputs/{index}/raw")
def raw(run: str, cell: Index, index: Index, service: PageServiceDep) -> Response:
    """Send an output's text, byte for byte as it came, as a file to save.

    Args:
        run: id of the run.
        cell: index of the cell in the executed notebook, from 0.
        index: which of the cell's outputs, from 0.
        service: the ledger with the rights of who is signed in.

    Raises:
        NotFound: there is no such run, cell or output, or the output holds no text.
        Forbidden: the visitor may not read the run.
    """
    text = long_text.text_of(service.outputs(run, cell), index)
    if text is None:
        raise NotFound(f"cell {cell} of {run} has no text {index}")
    headers = attachment(f"{run}-cell-{cell}-{index}.txt") | {"Content-Security-Policy": _CLOSED}
    return StreamingResponse(_pieces(text), media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/runs/{run}/cells/{cell}/outputs/{index}/text")
def text(
    run: str,
    cell: Index,
    index: Index,
    service: PageServiceDep,
    visitor: VisitorDep,
    runtime: RuntimeDep,
    start: Position = 0,
    end: Position = _MAX_POSITION,
    backwards: bool = False,
    around: Annotated[int | None, Query(ge=0, le=_MAX_POSITION)] = None,
) -> Response:
    """Return a part of a text that the page leaves out: of a gap, or around a position.

    Args:
        run: id of the run.
        cell: index of the cell in the executed notebook, from 0.
        index: which of the cell's outputs, from 0.
        service, visitor: the ledger with the rights of who is signed in, and who that is.
        runtime: the running service, whose settings name the page's addresses.
        start, end: characters of the text between which the gap is, from 0.
        backwards: whether the part ends at `end`, and does not begin at `start`.
        around: character that the part surrounds, from 0; None for a part of the gap.

    Raises:
        NotFound: there is no such run, cell or output, or the output holds no text.
        Forbidden: the visitor may not read the run.
    """
    whole = _text(service, run, cell, index)
    if around is None:
        first, last = long_text.piece(whole, start, end, backwards=backwards)
    else:
        first, last = long_text.around(whole, around)
    html = terminal_html(whole[first:last])
    return page(runtime, visitor, "_text_piece.html", html=html, start=first, end=last)


@router.get("/runs/{run}/cells/{cell}/outputs/{index}/search")
def search(
    run: str,
    cell: Index,
    index: Index,
    service: PageServiceDep,
    visitor: VisitorDep,
    runtime: RuntimeDep,
    q: Annotated[str, Query(min_length=1, max_length=200)],
) -> Response:
    """Return the lines of a text that hold a word.

    Args:
        run: id of the run.
        cell: index of the cell in the executed notebook, from 0.
        index: which of the cell's outputs, from 0.
        service, visitor: the ledger with the rights of who is signed in, and who that is.
        runtime: the running service, whose settings name the page's addresses.
        q: the word as it stands in the text, upper or lower case alike, 1 to 200 characters.

    Raises:
        NotFound: there is no such run, cell or output, or the output holds no text.
        Forbidden: the visitor may not read the run.
    """
    found, count = long_text.search(_text(service, run, cell, index), q)
    most = long_text.MAX_COUNTED
    return page(runtime, visitor, "_text_found.html", found=found, count=count, most=most, word=q)


@router.get("/runs/{run}/artifacts/{name}")
async def artifact(
    run: str, name: str, service: PageServiceDep, number: NumberQuery = None, *, show: bool = False
) -> Response:
    """Send an artifact as a file to save.

    Args:
        run: id of the run.
        name: the artifact's name.
        service: the ledger with the rights of who is signed in.
        number: which of the artifacts of that name, from 1; None for the newest.
        show: send a picture as one that the page shows.

    Raises:
        NotFound: there is no such run, or it has no such artifact.
        Forbidden: the visitor may not read the run.
    """
    return await (_picture if show else artifact_file)(service, run, name, number)


async def _picture(service: ActorService, run: str, name: str, number: int | None) -> Response:
    """Return an artifact as a picture that a page shows; as a file to save where its bytes are none.

    Args:
        service: the service as the caller may use it.
        run: id of the run.
        name: what the notebook called the artifact.
        number: which of the artifacts with that name, counted from 1; None for the latest.
    """
    found, pieces = await run_in_threadpool(service.stream_artifact, run, name, number)
    if may_be_picture(found):
        content = await run_in_threadpool(b"".join, pieces)
        kind = picture_kind(content)
        if kind is not None:
            return Response(content, media_type=kind, headers=ALONE)
    return await artifact_file(service, run, name, number)


def framed(frame: Frame, request: Request, runtime: Runtime) -> Response:
    """Return a frame's document with its policy, which keeps it in its sandbox also when opened by itself.

    The policy is a `Content-Security-Policy` with `sandbox` (W3C, Content Security Policy Level 3).

    Args:
        frame: the document, and the origins of scripts that it needs.
        request: the browser's request; its `Host` is the one origin that our own files come from.
        runtime: the running service, whose prefix those files are below.
    """
    hub = runtime.hub_settings
    rules = policy(frame.scripts, request.headers.get("Host", ""), hub.prefix)
    return HTMLResponse(frame.html, headers={"Content-Security-Policy": rules, "Cache-Control": "no-store"})


def _text(service: Service, run: str, cell: int, index: int) -> str:
    text = long_text.terminal_text(service.outputs(run, cell), index)
    if text is None:
        raise NotFound(f"cell {cell} of {run} has no text {index}")
    return text


def _pieces(text: str) -> Iterator[bytes]:
    for start in range(0, len(text), 1_000_000):
        yield text[start : start + 1_000_000].encode()


def _widgets(service: Service, run: str) -> dict[str, Any]:
    """Return the states of a run's widgets, as far as its notebook tells them."""
    metadata = json.loads(service.notebook(run)).get("metadata") or {}
    widgets = (metadata.get("widgets") or {}).get(WIDGET_STATE) or {}
    states = widgets.get("state") if isinstance(widgets, dict) else None
    return states if isinstance(states, dict) else {}
