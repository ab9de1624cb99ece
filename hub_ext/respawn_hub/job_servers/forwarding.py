"""Requests of job servers that reach a replica which does not see to them: they go on to the one that does.

They go on as they are, with the key or token of the job server, which the other replica checks by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from respawn_hub.job_servers.led import LedExecutor
from respawn_jobs.errors import Unavailable

_FORWARDED = "Respawn-Forwarded"
"""The header of a request that another replica has sent on."""
_PASSED_ON = ("authorization", "content-type")
_SECONDS = 40.0
"""A request for orders waits for half of it."""

Answers = Callable[[Request], Coroutine[Any, Any, Response]]


class LeadersRoute(APIRoute):
    """A route that the replica answers which sees to the job servers."""

    def get_route_handler(self) -> Answers:
        """Return what answers a request here or elsewhere; that raises Unavailable where nobody does."""
        here = super().get_route_handler()

        async def answer(request: Request) -> Response:
            executor = getattr(request.app.state, "hub_executor", None)
            if not isinstance(executor, LedExecutor) or executor.here() is not None:
                return await here(request)
            address = executor.elsewhere()
            if _FORWARDED in request.headers:
                raise Unavailable("this replica does not see to the job servers; try again in a moment")
            with ends_with_the_service():
                return await _answer_of(address, request)

        return answer


@contextmanager
def ends_with_the_service() -> Iterator[None]:
    """Answer a request that still waits when the service is stopped, which cancels it.

    Raises:
        Unavailable: the service is being stopped.
    """
    try:
        yield
    except asyncio.CancelledError as cancelled:
        raise Unavailable("this service is being stopped") from cancelled


async def _answer_of(address: str, request: Request) -> Response:
    """Return what the replica at an address answers. Raises Unavailable where it does not."""
    path = request.url.path.rpartition("/job-servers/")[2]
    headers = {name: text for name in _PASSED_ON if (text := request.headers.get(name)) is not None}
    try:
        # One connection for each: they last for seconds, and come every few seconds.
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
            answer = await client.request(
                request.method,
                f"{address}/job-servers/{path}",
                headers={**headers, _FORWARDED: "1"},
                content=await request.body(),
            )
    except httpx.HTTPError as error:
        raise Unavailable(
            f"the replica at {address}, which sees to the job servers, does not answer: replicas reach each "
            "other at their JUPYTERHUB_SERVICE_URL"
        ) from error
    kind = answer.headers.get("content-type")
    return Response(
        answer.content, answer.status_code, headers={"content-type": kind} if kind is not None else None
    )
