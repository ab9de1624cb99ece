"""The service's process: `python -m respawn_hub`, started by the hub."""

from __future__ import annotations

import logging
import os
import socket
import sys
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from respawn_hub.app import create_app
from respawn_hub.hub_config.data_lock import DataLock, Holder
from respawn_hub.loops.drain import DrainingReplica
from respawn_hub.runners.server import RunnerServer
from respawn_hub.startup.listening import CannotListen, listeners
from respawn_hub.startup.settings import HubSettings, NotUnderHub, Settings
from respawn_hub.startup.shared_account import refusal, warning
from respawn_hub.web.connection_deadlines import server_config
from respawn_jobs import logs
from respawn_jobs.errors import Conflict, RespawnError
from respawn_jobs.host.fast_imports import leave_out_grammars
from respawn_jobs.host.private_files import keep_new_files_private, private_directory, private_file
from respawn_jobs.ids import new_id
from respawn_jobs.model.validation_errors import wanted

logger = logging.getLogger("respawn_hub")
WRONG_SETTING, CANNOT_LISTEN, NO_STORE, IN_USE = 2, 3, 4, 5
"""Exit statuses."""


class Server(uvicorn.Server):
    """A server that goes on answering until its runners have ended, so that they can record how.

    The first signal lets runs finish for as long as the settings say; a second one requeues them at once.

    Args:
        app: the service, from `create_app`; its `state.ending` ends the runners.
        config: uvicorn's configuration for that app.
        lock: the held lock of the data directory, which notes an orderly stop; None where nothing was locked.
    """

    def __init__(self, app: FastAPI, config: uvicorn.Config, lock: DataLock | None = None) -> None:
        super().__init__(config)
        self._ending: DrainingReplica = app.state.ending
        self._lock = lock

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal."""
        if self.should_exit:
            self._ending.hurry()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the runners, then close the listener and everything else."""
        try:
            await run_in_threadpool(self._ending.run)
            if self._lock is not None:
                self._lock.stopped_in_order()
        finally:
            await super().shutdown(sockets)


def main() -> int:
    """Serve until the hub stops it.

    Returns the exit status: 2 when it was not started by a hub or a setting is wrong, 3 when it cannot
    listen, 4 when its store cannot be used, 5 when another service has its data directory.
    """
    leave_out_grammars()
    logs.configure(os.environ.get("RESPAWN_LOG_FORMAT", "text"))
    try:
        hub_settings = HubSettings.from_environment()
    except NotUnderHub as error:
        return _refused(str(error), WRONG_SETTING)
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors(include_input=False):
            _refused(f"RESPAWN_{str(problem['loc'][0]).upper()} {wanted(problem)}", WRONG_SETTING)
        return WRONG_SETTING
    if settings.shared and settings.runs_beside:
        if not settings.jobs_share_an_account:
            return _refused(refusal(settings), WRONG_SETTING)
        logger.warning("%s", warning(settings))
    try:
        return _serve(settings, hub_settings)
    except CannotListen as error:
        return _refused(str(error), CANNOT_LISTEN)
    except (RespawnError, OSError) as error:
        return _refused(str(error), IN_USE if isinstance(error, Conflict) else NO_STORE)


def _serve(settings: Settings, hub_settings: HubSettings) -> int:
    """Take the data directory, then the address, then begin: what fails has changed nothing by then."""
    keep_new_files_private()
    private_directory(settings.data)
    for path in settings.data.iterdir():
        private_file(path)
    host, port = hub_settings.address
    replica = new_id("rep")
    lock = DataLock(settings.data)
    before = lock.take(Holder.this_process(port, replica, settings.hub_pid))
    try:
        sockets = listeners(host, port)
        app = create_app(
            settings,
            hub_settings,
            # Runners in servers of the hub reach the service as these servers do.
            runners=RunnerServer(os.environ, port=settings.runner_port) if settings.runs_beside else None,
            replica=replica,
            killed=before.replica if before else None,
        )
    except (CannotListen, RespawnError, OSError) as error:
        lock.begun_nothing()
        if isinstance(error, Conflict):  # a store of a newer version
            return _refused(str(error), NO_STORE)
        raise
    server = Server(app, server_config(app), lock)
    with suppress(KeyboardInterrupt):  # the hub interrupts what it stops
        server.run(sockets)
    return 0 if server.started else CANNOT_LISTEN


def _refused(message: str, status: int) -> int:
    print(f"respawn: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
