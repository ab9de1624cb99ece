"""The service as an ASGI application: what it is made of, its routes, and what errors look like."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from respawn_hub.answering import AlwaysAnswers
from respawn_hub.failures import add_failures, unforeseen
from respawn_hub.handlers import (
    api,
    artifacts,
    backfills,
    debug,
    events,
    history,
    hooks,
    job_life,
    job_life_pages,
    job_pages,
    login,
    namespaces,
    notebooks,
    operations,
    outputs,
    queueing,
    resume_pages,
    run_pages,
    runner,
    trigger_pages,
    triggers,
    version_pages,
    versions,
)
from respawn_hub.headers import SafeHeaders
from respawn_hub.hub import Hub
from respawn_hub.limits import BodyLimits
from respawn_hub.people import People
from respawn_hub.runner_api import RunnerApi
from respawn_hub.runtime import Runtime
from respawn_hub.services.backfiller import Backfiller
from respawn_hub.services.dispatcher import Dispatcher
from respawn_hub.services.ending import Ending
from respawn_hub.services.follower import Follower
from respawn_hub.services.housekeeper import Housekeeper
from respawn_hub.services.hub_watch import HubProcess, HubWatch
from respawn_hub.services.owners import Owners
from respawn_hub.services.presence import Presence
from respawn_hub.services.runner_server import RunnerServer
from respawn_hub.services.scheduler import Scheduler
from respawn_hub.services.supervisor import Supervisor
from respawn_hub.services.watcher import Watcher
from respawn_hub.sessions import Sessions
from respawn_hub.settings import HubSettings, Settings
from respawn_hub.templating import HERE
from respawn_hub.watching import Watching, watching
from respawn_jobs import logs
from respawn_jobs.blobs import BlobStore
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import Unavailable
from respawn_jobs.executors.base import Executor
from respawn_jobs.executors.local import LocalExecutor
from respawn_jobs.ids import new_id
from respawn_jobs.keyring import Keyring
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.audit_anchor import FILE as ANCHOR_FILE
from respawn_jobs.ledger.quotas import Quotas
from respawn_jobs.private_files import private_directory
from respawn_jobs.store.database import Database

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
        hub_settings: what the hub told it.
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
    keyring.current("cookies")  # what is wrong with the keys is told at the start
    hub, people = _hub_and_people(hub_settings, keyring, store)
    process = HubProcess(settings.hub_pid) if settings.hub_pid is not None else None
    hub_watch = HubWatch(hub, process, lambda: os.kill(os.getpid(), signal.SIGTERM))
    watched = watching(settings, hub_settings, store, clock, hub_watch)
    watched.loops["owners"] = Owners(people, every_seconds=settings.users_seconds).tick
    if runners is not None:
        watched.loops["runners"] = runners.tick
    runners_url = runners.url if runners else service_url
    ending = _at_work(settings, store, executor, runners_url, watched, clock, replica or new_id("rep"))
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

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if killed is not None:
            await run_in_threadpool(_settle, store, killed)
        if runners is not None:
            runners.start(watched.metrics, ending.supervisor.wake)
        ending.supervisor.start()
        logger.info("Respawn serves %s", service_url)
        yield
        await run_in_threadpool(ending.run)
        if runners is not None:  # the runners are gone, and have recorded how far they came
            await run_in_threadpool(runners.close)
        hub.close()
        if ledger is None:
            store.close()

    app = _application(hub_settings.prefix, lifespan)
    app.state.runtime = runtime
    app.state.runner_api = RunnerApi(ledger=store, uploads=settings.uploads, wake=ending.supervisor.wake)
    app.state.ending = ending
    return app


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
        openapi_url=f"{prefix}api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(all_routes(), prefix=prefix.rstrip("/"))
    app.mount(f"{prefix}static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_middleware(BodyLimits, prefix=prefix)
    app.add_middleware(AlwaysAnswers, page=unforeseen)
    app.add_middleware(SafeHeaders)
    add_failures(app)
    return app


def _at_work(
    settings: Settings,
    store: Ledger,
    executor: Executor | None,
    service_url: str,
    watched: Watching,
    clock: Clock,
    replica: str,
) -> Ending:
    """Return the loops of this replica, not started yet, with the way in which they end."""
    logs.always(replica=replica)
    executor = executor or LocalExecutor(
        service_url, max_running=settings.max_running, freed=lambda: supervisor.wake()
    )
    dispatcher = Dispatcher(store, executor, max_running=settings.max_running, replica=replica)
    presence = Presence(
        store, dispatcher, lambda: supervisor.health(), replica=replica, places=settings.max_running
    )
    supervisor = Supervisor(
        {
            "dispatcher": dispatcher.tick,
            "presence": presence.tick,
            **_loops(settings, store, lambda: supervisor.wake(), clock),
            **watched.loops,
        },
        passed=watched.metrics.loop_passed,
    )
    return Ending(supervisor, dispatcher, presence, drain_seconds=settings.drain_seconds)


def _settle(store: Ledger, killed: str) -> None:
    """Tell of a replica that was killed on this machine; what cannot be told now, its leases tell later."""
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


def _loops(
    settings: Settings, store: Ledger, wake: Callable[[], None], clock: Clock
) -> dict[str, Callable[[], float]]:
    """Return the loops that make runs, and the one that lets old ones go."""
    return {
        "scheduler": Scheduler(store, wake, clock=clock).tick,
        "backfiller": Backfiller(store, wake).tick,
        "follower": Follower(store, wake).tick,
        "watcher": Watcher(store, wake, every_seconds=settings.watch_seconds).tick,
        "housekeeper": Housekeeper(store).tick,
    }


def open_ledger(settings: Settings, clock: Clock = utc_now) -> Ledger:
    """Open the store that the settings name: URLs, or files in the data directory.

    A database that does not answer now may do so later: until then what needs it is `Unavailable`. Raises
    `InvalidInput` for a URL that cannot be used, `Conflict` for a store of a newer version.
    """
    private_directory(settings.data)
    data = settings.data.absolute()
    database = Database(settings.db_url or f"sqlite:///{data / 'respawn.db'}")
    database.prepare_when_it_answers()
    blobs = BlobStore(settings.blobs_url or (data / "blobs").as_uri())
    blobs.protect()
    ledger = Ledger(
        database,
        blobs,
        clock=clock,
        lease_seconds=settings.lease_seconds,
        keyring=settings.keyring(clock),
        anchor=data / ANCHOR_FILE,
        inbox_url=settings.inbox_url,
        blob_grace_seconds=settings.blob_grace_seconds,
    )
    megabytes = settings.quota_stored_megabytes
    ledger.set_quotas(Quotas(megabytes * 1_000_000 if megabytes else None, settings.quota_waiting_runs))
    return ledger


def all_routes() -> APIRouter:
    """Return the routes of the service, without its prefix."""
    routes = APIRouter()
    routes.include_router(artifacts.pages)
    routes.include_router(history.pages)
    routes.include_router(queueing.pages)
    routes.include_router(operations.metrics_router)
    for module in (
        api,
        artifacts,
        backfills,
        events,
        history,
        hooks,
        runner,
        login,
        job_life,
        job_pages,
        job_life_pages,
        version_pages,
        notebooks,
        namespaces,
        operations,
        outputs,
        queueing,
        run_pages,
        resume_pages,
        trigger_pages,
        triggers,
        versions,
        debug,
    ):
        routes.include_router(module.router)
    return routes
