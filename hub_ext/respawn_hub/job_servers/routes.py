"""What job servers ask of the service: to register, by the hub's word; then to report, and for orders."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security.utils import get_authorization_scheme_param

from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.job_servers.executor import HubExecutor
from respawn_hub.job_servers.forwarding import LeadersRoute, ends_with_the_service
from respawn_hub.job_servers.led import LedExecutor
from respawn_hub.web.problems import TO_RUNNERS
from respawn_jobs.api.job_server_protocol import (
    JobServerHello,
    JobServerOrders,
    JobServerReport,
    JobServerWelcome,
    other_release,
)
from respawn_jobs.errors import Conflict, Forbidden, NotFound, Unauthenticated, Unavailable

router = APIRouter(
    prefix="/job-servers/{name}", tags=["job servers"], responses=TO_RUNNERS, route_class=LeadersRoute
)
_WAIT_SECONDS = 20.0
"""How long a request for orders waits for some: less than proxies let a connection be silent."""


async def executor(request: Request) -> HubExecutor:
    """Return the executor of this service.

    Args:
        request: any request.

    Raises:
        NotFound: its runners are no servers of the hub.
        Unavailable: another replica sees to them now.
    """
    found = getattr(request.app.state, "hub_executor", None)
    if not isinstance(found, LedExecutor):
        raise NotFound("this service has no job servers: its jobs run beside it (RESPAWN_EXECUTOR=local)")
    here = found.here()
    if here is None:  # since the route looked
        raise Unavailable("another replica sees to the job servers now; try again in a moment")
    return here


ExecutorDep = Annotated[HubExecutor, Depends(executor)]


async def account(name: str, request: Request, runtime: RuntimeDep) -> str:
    """Return whose job server asks, by its key.

    Args:
        name: the server's name, from the address.
        request: its request, whose `Authorization` header has the key (RFC 6750, section 2.1).
        runtime: the running service.

    Raises:
        Unauthenticated: the key is not that of the server.
    """
    key = _credential(request, "Bearer", "key")
    return await runtime.hub_threads.run(runtime.ledger.recognize_job_server, name, key)


AccountDep = Annotated[str, Depends(account)]


async def owner(name: str, request: Request, runtime: RuntimeDep) -> str:
    """Return whose server asks to register, by its own hub token.

    A scope for the server alone is no proof, since JupyterHub's shares give it to others: the token's owner
    must be the account.

    Args:
        name: the server's name, from the address.
        request: its request, with `Authorization: token <hub token>`.
        runtime: the running service.

    Raises:
        Unauthenticated: the token is not that of this server.
    """
    token = _credential(request, "token", "its own hub token")
    try:
        user = await runtime.hub_threads.run(runtime.hub.user, token)
    except Forbidden:  # a token of a user who may not enter is none of a job server
        user = None
    if user is None or user.kind != "user" or not _is_of_server(user.scopes, user.name, name):
        raise Unauthenticated(f"the token is not that of the server {name}")
    return user.name


OwnerDep = Annotated[str, Depends(owner)]


@router.post("/register")
async def register(
    name: str, hello: JobServerHello, owner: OwnerDep, runtime: RuntimeDep, executor: ExecutorDep
) -> JobServerWelcome:
    """Register a job server that the hub has started, by the hub's word for it and its nonce.

    \f

    Args:
        name: the server's name at the hub.
        hello: what it was started with.
        owner: whose it is.
        runtime, executor: the running service, and its executor.

    Raises:
        Unauthenticated: the token is not that of this server, or it was not asked for.
        NotFound: this service has no job servers.
        Conflict: it is of another release than the service.
    """
    key = await runtime.hub_threads.run(runtime.ledger.register_job_server, name, owner, hello.nonce)
    # After the nonce, which says that it is one of ours: others have no say in what the pages tell of it.
    if (other := other_release(hello.version)) is not None:
        fault = (
            f"the job server of {owner} was sent away: {other}. Install the same release where servers run."
        )
        executor.send_away(name, fault)
        raise Conflict(fault)
    await run_in_threadpool(executor.hear, name, JobServerReport(kernels=hello.kernels))
    return JobServerWelcome(
        key=key, slots=executor.slots_of(name), kept_memory_bytes=executor.kept_memory_bytes
    )


@router.post("/report", status_code=204)
async def report(
    name: str, report: JobServerReport, account: AccountDep, executor: ExecutorDep, runtime: RuntimeDep
) -> None:
    """Take note of what a job server does.

    \f

    Args:
        name: the server's name at the hub.
        report: what it does.
        account, executor: whose it is, and this service's executor.
        runtime: the running service.
    """
    if await run_in_threadpool(executor.hear, name, report):
        await runtime.hub_threads.run(runtime.ledger.note_kept_kernels, name, report.kept)


@router.get("/orders")
async def orders(name: str, account: AccountDep, executor: ExecutorDep) -> JobServerOrders:
    """Return what a job server is to do; waits for seconds until there is something.

    \f

    Args:
        name: the server's name at the hub.
        account, executor: whose it is, and this service's executor.
    """
    loop, there = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the service has ended meanwhile
            loop.call_soon_threadsafe(there.set)

    found = executor.orders(name, wake)
    if not found:
        try:
            with ends_with_the_service():
                await asyncio.wait_for(there.wait(), _WAIT_SECONDS)
        except TimeoutError:
            return found
        found = executor.orders(name, lambda: None)
    return found


def _credential(request: Request, scheme: str, what: str) -> str:
    """Return what a request proves itself with. Raises Unauthenticated for another scheme, or for none."""
    given, credential = get_authorization_scheme_param(request.headers.get("Authorization"))
    if given.lower() != scheme.lower() or not credential or not credential.isascii():
        raise Unauthenticated(f"a job server sends `Authorization: {scheme} <{what}>`")
    return credential


def _is_of_server(scopes: frozenset[str], user: str, name: str) -> bool:
    return f"access:servers!server={user}/{name}" in scopes
