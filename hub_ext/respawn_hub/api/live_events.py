"""Live pages: one stream of server-sent events per run that is looked at.

An event tells which cells changed, by a key of what is shown of each; the page fetches just those pieces
again. Before each event it is asked again who follows, so that who lost access, or signed out, stops seeing;
and a stream ends after some minutes, and the browser opens a new one.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from respawn_hub.auth.dependencies import ServiceDep, caller
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.web.problems import PROBLEMS, sends
from respawn_jobs.api.address import API
from respawn_jobs.api.service import Service
from respawn_jobs.errors import Forbidden, Unauthenticated
from respawn_jobs.model.runs import CellRecord, Run, RunDetail

router = APIRouter(prefix=API, tags=["people"], responses=PROBLEMS)
_LOOK_SECONDS = 0.3
_LOOK_SECONDS_WHEN_QUIET = 1.0
_LIVELY_SECONDS = 5.0
"""After a change, this long, a page is looked after more often: the next change is near."""
_QUIET_SECONDS = 15.0
"""A comment is sent this often, so that proxies keep the connection and dead ones are noticed."""
_STREAM_SECONDS = 300.0


def cell_key(cell: CellRecord, run: Run) -> str:
    """Return what changes whenever a page must show this cell anew."""
    outputs = (cell.outputs or "")[:12]
    stopped = run.state if run.error is not None and run.error.cell == cell.index else ""
    kept = "c" if cell.checkpoint else ""
    blocked = cell.blocked_since.isoformat() if cell.blocked_since is not None else ""
    return f"{cell.state}-{outputs}-{cell.execution_count}-{kept}{cell.note or ''}{stopped}{blocked}"


def run_key(detail: RunDetail) -> str:
    """Return what changes whenever a page must show the head of a run anew."""
    run = detail.run
    shown = (
        run.pinned,
        run.not_before,
        run.state,
        run.attempt,
        run.cells_done,
        run.cells_total,
        run.cancel_requested,
        run.resumed_by,
        run.waiting,
        detail.living is not None,
        *((cell.index, cell.blocked_since) for cell in detail.cells if cell.blocked_since is not None),
    )
    return "-".join(map(str, shown))


@router.get("/runs/{run}/events", response_class=StreamingResponse, responses=sends("text/event-stream"))
async def events(run: str, request: Request, service: ServiceDep, runtime: RuntimeDep) -> StreamingResponse:
    """Follow a run: an event `change` with the keys of what changed, and `end` when the run is final.
    \f
    The form is that of server-sent events (HTML standard, section 9.2).

    Args:
        run: id of the run.
        request: the call, whose sender is identified again before each event.
        service: the service as the caller may use it.
        runtime: this replica's parts.
    """
    first = await run_in_threadpool(service.show, run)
    return StreamingResponse(
        _stream(run, first, service, runtime, request),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _stream(
    run: str, detail: RunDetail, service: Service, runtime: Any, request: Request
) -> AsyncIterator[str]:
    sent: dict[str, str] = {}
    revision = -1
    changed_at = time.monotonic()
    ends = time.monotonic() + _STREAM_SECONDS
    spoke = time.monotonic()
    yield "retry: 1000\n\n"
    while time.monotonic() < ends and not await request.is_disconnected():
        latest = await run_in_threadpool(runtime.ledger.revision, run)
        if latest != revision:
            try:
                service = runtime.ledger.as_actor(await caller(request, runtime))
                # Read after the revision: a change in between is only sent twice.
                detail = await run_in_threadpool(service.show, run)
            except (
                Unauthenticated,
                Forbidden,
            ):  # a right has ended: the browser asks again, and hears it
                return
            revision, changed_at = latest, time.monotonic()
            keys = {str(cell.index): cell_key(cell, detail.run) for cell in detail.cells}
            keys["run"] = run_key(detail)
            changed = {name: key for name, key in keys.items() if sent.get(name) != key}
            sent = keys
            if changed:
                yield _event("change", {"state": detail.run.state, "keys": changed})
                spoke = time.monotonic()
            if detail.run.state.final:
                yield _event("end", {"state": detail.run.state})
                return
        elif time.monotonic() - spoke > _QUIET_SECONDS:
            yield ": still here\n\n"
            spoke = time.monotonic()
        lively = time.monotonic() - changed_at < _LIVELY_SECONDS
        await asyncio.sleep(_LOOK_SECONDS if lively else _LOOK_SECONDS_WHEN_QUIET)


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
