"""The service as an ASGI application: what it is made of, its routes, and what errors look like."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from respawn_hub.api.routes import api_routers
from respawn_hub.auth.runtime import Runtime
from respawn_hub.auth.sessions import Sessions
from respawn_hub.hub.client import Hub
from respawn_hub.hub.people import People
from respawn_hub.job_servers import routes as job_server_routes
from respawn_hub.job_servers.accounts import Accounts
from respawn_hub.job_servers.beside import BesideExecutor
from respawn_hub.job_servers.executor import HubExecutor
from respawn_hub.job_servers.hub_servers import HubServers
from respawn_hub.job_servers.led import LedExecutor
from respawn_hub.job_servers.places import HubPlaces
from respawn_hub.loops.drain import DrainingReplica
from respawn_hub.loops.user_sync import Owners
from respawn_hub.loops.wiring import FREED, RUN_ENDED, build_loops
from respawn_hub.monitoring.hub_watch import HubProcess, HubWatch
from respawn_hub.monitoring.wiring import Monitoring, watching
from respawn_hub.pages.errors import add_failures, unforeseen
from respawn_hub.pages.routes import page_routers
from respawn_hub.pages.templating import HERE
from respawn_hub.runners import routes as runner_routes
from respawn_hub.runners.context import RunnerApi
from respawn_hub.runners.server import RunnerServer
from respawn_hub.startup.settings import HubSettings, Settings
from respawn_hub.startup.store import open_ledger
from respawn_hub.web.body_limits import BodyLimits
from respawn_hub.web.headers import SafeHeaders
from respawn_hub.web.server_errors import AlwaysAnswers
from respawn_jobs import logs
from respawn_jobs.api.address import API
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import Unavailable
from respawn_jobs.executors.base import Executor
from respawn_jobs.executors.local import LocalExecutor
from respawn_jobs.ids import new_id
from respawn_jobs.keyring import Keyring
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.capacity.leadership import Leader

logger = logging.getLogger(__name__)
_DESCRIPTION = "Notebooks that run without you, and come back to life where they died."


def create_app(
    settings: Settings,
    hub_settings: HubSettings,
    *,
    ledger: Ledger | None = None,
    executor: Executor | None = None,
    clock: Clock = utc_now,
    runners: RunnerServer | None = None,
    replica: str | None = None,
    killed: str | None = None,
) -> FastAPI:
    """Build the application; its loops start and end with the server's lifespan.

    Args:
        settings: how the service works.
        hub_settings: what the hub gave it.
        ledger: the store; by default the one that `settings` name.
        executor: starts runners; by default local processes.
        clock: the present moment; a `ledger` that is given has its own, which must be the same.
        runners: the process that hears the runners of the default executor; by default this one does.
        replica: this process's id among the service's replicas; by default a new one.
        killed: the id of the replica before, where it was killed: its runners died with it.
    """
    store = ledger or open_ledger(settings, clock)
    service_url = hub_settings.service_url.rstrip("/") + hub_settings.prefix.rstrip("/")
    keyring = settings.keyring(clock)
    keyring.current("cookies")  # what is wrong with the keys is reported at the start
    hub, people = _hub_and_people(hub_settings, keyring, store)
    process = HubProcess(settings.hub_pid) if settings.hub_pid is not None else None
    hub_watch = HubWatch(hub, process, lambda: os.kill(os.getpid(), signal.SIGTERM))
    watched = watching(settings, hub_settings, store, clock, hub_watch)
    watched.loops["owners"] = Owners(people, every_seconds=settings.users_seconds).tick
    if runners is not None:
        watched.loops["runners"] = runners.tick
    replica = replica or new_id("rep")
    logs.always(replica=replica)
    executors = _executors(
        settings,
        hub,
        store,
        runners.url if runners else service_url,
        lambda: ending.supervisor.wake(FREED),
        executor,
        Leader(replica, service_url),
    )
    main = executors.pop(settings.executor)
    ending = build_loops(
        settings,
        store,
        main,
        replica=replica,
        clock=clock,
        more=watched.loops,
        passed=watched.metrics.loop_passed,
        also=executors,
    )
    runtime = Runtime(
        settings=settings,
        hub_settings=hub_settings,
        hub=hub,
        people=people,
        sessions=_sessions(settings, hub_settings, keyring),
        ledger=store,
        wake=ending.supervisor.wake,
        health=ending.supervisor.health,
        watching=watched,
    )

    life = _Life(store, hub, ending, watched, runners, killed, service_url, owns_store=ledger is None)
    app = _application(hub_settings.prefix, life.lived)
    app.state.runtime = runtime
    app.state.runner_api = RunnerApi(
        ledger=store, uploads=settings.uploads, wake=lambda: ending.supervisor.wake(RUN_ENDED)
    )
    app.state.ending = ending
    app.state.hub_executor = main
    return app


def _executors(
    settings: Settings,
    hub: Hub,
    store: Ledger,
    url: str,
    freed: Callable[[], None],
    given: Executor | None,
    own: Leader,
) -> dict[str, Executor]:
    """Return what starts runners, as the settings have it: that of most jobs, and of some profiles."""
    if given is not None:
        return {settings.executor: given}
    if settings.executor == "hub":
        accounts = Accounts(settings.team_accounts)
        where = HubPlaces(accounts, settings.job_profiles, hub.directory.groups)
        store.attach_places(where)
        found: dict[str, Executor] = {}
        if settings.profiles_beside:
            found["local"] = BesideExecutor(url, where, max_running=settings.max_running, freed=freed)

        def make() -> HubExecutor:
            return HubExecutor(
                store,
                HubServers(hub.call_as_service),
                where,
                slots=settings.job_server_slots,
                idle_seconds=settings.job_server_idle_seconds,
                ahead_seconds=settings.job_server_ahead_seconds,
                kept_memory_bytes=settings.keep_kernels_memory,
                freed=freed,
            )

        found["hub"] = LedExecutor(store, own, make, ahead=settings.job_server_ahead_seconds)
        return found
    return {"local": LocalExecutor(url, max_running=settings.max_running, freed=freed)}


@dataclass(frozen=True)
class _Life:
    """What starts with the server and ends after it."""

    store: Ledger
    hub: Hub
    ending: DrainingReplica
    watched: Monitoring
    runners: RunnerServer | None
    killed: str | None
    url: str
    owns_store: bool
    """Whether the store was opened here, and so is closed here."""

    @asynccontextmanager
    async def lived(self, app: FastAPI) -> AsyncIterator[None]:
        """Start the loops, and stop them in the order in which nothing is lost."""
        supervisor = self.ending.supervisor
        if self.killed is not None:
            await run_in_threadpool(_settle, self.store, self.killed)
        if self.runners is not None:
            self.runners.start(self.watched.metrics, lambda: supervisor.wake(RUN_ENDED))
        supervisor.start()
        logger.info("Respawn serves %s", self.url)
        yield
        await run_in_threadpool(self.ending.run)
        if self.runners is not None:  # the runners are gone, and have recorded how far they came
            await run_in_threadpool(self.runners.close)
        self.hub.close()
        if self.owns_store:
            self.store.close()


def _sessions(settings: Settings, hub_settings: HubSettings, keyring: Keyring) -> Sessions:
    path, secure = hub_settings.prefix, hub_settings.secure
    return Sessions(keyring, path=path, secure=secure, seconds=settings.session_seconds)


def _hub_and_people(hub_settings: HubSettings, keyring: Keyring, store: Ledger) -> tuple[Hub, People]:
    """Return the hub as this service asks it, and the people whom it knows."""
    people = People(store)
    hub = Hub(
        hub_settings,
        tokens=lambda: [key.secret for key in keyring.accepted("hub-token")],
        admit=people.admit,
    )
    people.attach(hub)
    return hub, people


def _application(prefix: str, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """Return the routes under a prefix, and what stands before them."""
    app = FastAPI(
        title="Respawn",
        description=_DESCRIPTION,
        version="1",
        lifespan=lifespan,
        openapi_url=f"{prefix.rstrip('/')}{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    for router in _routers():  # each by itself: a router of routers would have each route made twice
        app.include_router(router, prefix=prefix.rstrip("/"))
    app.mount(f"{prefix}static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_middleware(BodyLimits, prefix=prefix)
    app.add_middleware(AlwaysAnswers, page=unforeseen)
    app.add_middleware(SafeHeaders)
    add_failures(app)
    return app


def _settle(store: Ledger, killed: str) -> None:
    """Record that a replica was killed on this machine; where that fails, its leases end by themselves."""
    try:
        lost = store.lose_replica(killed)
    except Unavailable as error:
        logger.warning("the runs of %s, which was killed, are lost when their leases end: %s", killed, error)
        return
    logger.warning(
        "the service before this one (%s) was killed, or its machine went away; runs lost by that: %s",
        killed,
        ", ".join(lost) or "none",
    )


def _routers() -> tuple[APIRouter, ...]:
    return (*api_routers(), *page_routers(), runner_routes.router, job_server_routes.router)


def all_routes() -> APIRouter:
    """Return the routes of the service, without its prefix."""
    routes = APIRouter()
    for router in _routers():
        routes.include_router(router)
    return routes
