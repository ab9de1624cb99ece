"""The public side of webhooks: no sign-in, but a signature over every call."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.web.problems import PROBLEMS, Answers, takes
from respawn_jobs.api.triggers import HookAnswer
from respawn_jobs.ledger.triggers.webhook_signatures import SignedCall

router = APIRouter(prefix="/hooks", tags=["webhooks"], responses=PROBLEMS)


_CALL = takes("application/json", type="object", properties={"parameters": {"type": "object"}})
_AGAIN: Answers = {200: {"model": HookAnswer, "description": "This message was taken before."}}


@router.post("/{hook}", status_code=201, openapi_extra=_CALL, responses=_AGAIN)
async def call(hook: str, request: Request, response: Response, runtime: RuntimeDep) -> HookAnswer:
    """Run a webhook's job; status 200 when this message was taken before, and made the run of the answer.
    \f
    Args:
        hook: id of the webhook.
        request: the call; its headers and its body are what is signed (Standard Webhooks).
        response: gets the status.
        runtime: this replica's parts.
    """
    body = await request.body()
    signed = SignedCall(
        message_id=request.headers.get("webhook-id", ""),
        timestamp=request.headers.get("webhook-timestamp", ""),
        signature=request.headers.get("webhook-signature", ""),
    )
    answer = await run_in_threadpool(runtime.ledger.call_hook, hook, signed, body)
    if answer.repeated:
        response.status_code = 200
    else:
        runtime.wake()
    return answer
