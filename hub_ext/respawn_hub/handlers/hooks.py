"""The public side of webhooks: no sign-in, but a signature over every call."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from respawn_hub.handlers.problems import PROBLEMS, Answers, takes
from respawn_hub.runtime import RuntimeDep
from respawn_jobs.service_triggers import HookAnswer

router = APIRouter(prefix="/hooks", tags=["webhooks"], responses=PROBLEMS)


_CALL = takes("application/json", type="object", properties={"parameters": {"type": "object"}})
_AGAIN: Answers = {200: {"model": HookAnswer, "description": "This very call was taken before."}}


@router.post("/{hook}", status_code=201, openapi_extra=_CALL, responses=_AGAIN)
async def call(hook: str, request: Request, response: Response, runtime: RuntimeDep) -> HookAnswer:
    """Run a webhook's job; status 200 when this very call was taken before, and made the run that is told."""
    body = await request.body()
    answer = await run_in_threadpool(
        runtime.ledger.call_hook,
        hook,
        request.headers.get("X-Respawn-Timestamp", ""),
        request.headers.get("X-Respawn-Signature", ""),
        body,
    )
    if answer.repeated:
        response.status_code = 200
    else:
        runtime.wake()
    return answer
