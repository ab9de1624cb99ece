"""Starts replicas of the service by fork, so that one that was killed is back within a fraction of a second.

    python -m support.chaos.stable

It has imported all of the service and reads one JSON order a line; for each it forks a replica, the leader of
a session of its own, and answers with its process id. When its stdin ends it kills all that it started.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import papermill.translators  # noqa: F401  runners need it; imported once, for all of them
import uvicorn

from respawn_hub.__main__ import Server
from respawn_hub.app import create_app
from respawn_hub.startup.settings import HubSettings, Settings
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.attempts import lifecycle
from respawn_jobs.store.database import Database
from respawn_kernels.host.own_process import die_with
from support.chaos.journal import Journal
from support.chaos.nursery import NurseryExecutor
from support.chaos.playing import Orders, play
from support.chaos.simulated import SimulatedClock

_GRACE_SECONDS = 8.0
"""Real seconds in which a runner must claim: a simulated minute is too short for a busy machine."""


@dataclass(frozen=True)
class FakeKernel:
    """A kernel that needs not be installed: nothing here starts one."""

    name: str
    language: str = "python"
    lock: str | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)


def serve(order: dict[str, Any]) -> None:
    """Be a replica, until a signal stops it."""
    clock = SimulatedClock(**order["clock"])
    lifecycle.START_GRACE = timedelta(seconds=_GRACE_SECONDS * clock.rate)
    origin = f"http://127.0.0.1:{order['port']}"
    url = f"{origin}/services/respawn"
    journal = Path(order["journal"])

    def runner(attempt: str, token: str) -> int:
        return play(Orders(url, attempt, token, journal, clock, order["seed"]))

    executor = NurseryExecutor(runner)
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s {os.getpid()} %(name)s %(levelname)s %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    database = Database(order["db_url"])
    ledger = Ledger(
        database,
        BlobStore(order["blobs_url"]),
        clock=clock,
        lease_seconds=order["lease_seconds"],
        new_kernel_check=FakeKernel,
    )
    settings = Settings(
        data=Path(order["data"]), cookie_secret="not used, but as long as one must be",
        max_running=order["places"],
        lease_seconds=order["lease_seconds"], db_url=order["db_url"], blobs_url=order["blobs_url"],
    )  # fmt: skip
    hub = HubSettings(
        api_token="not-used", api_url=f"{origin}/hub/api", client_id="service-respawn", service_url=origin
    )
    app = create_app(settings, hub, ledger=ledger, executor=executor, clock=clock)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=order["port"],
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    faulthandler.register(signal.SIGUSR1)
    asyncio.run(Server(app, config).serve())
    Journal(journal).note("replica stopped", pid=os.getpid())


def main() -> int:
    """Carry out orders until there are no more."""
    # Their zombies are left to the system, so that no number is given to a stranger before the end.
    started: set[int] = set()
    # Whoever stops the test stops its process group: the end of stdin says when all is to be cleared away.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stable = os.getpid()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become_replica(json.loads(line), stable)
        started.add(pid)
        print(pid, flush=True)
    for pid in started:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    return 0


def _become_replica(order: dict[str, Any], parent: int) -> None:
    os.setsid()
    die_with(parent)
    code = 1
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        serve(order)
        code = 0
    except BaseException:
        logging.exception("the replica broke")
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
