"""The service's process: `python -m respawn_hub`, started by the hub."""

from __future__ import annotations

import getpass
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
from respawn_hub.services.ending import Ending
from respawn_hub.services.runner_server import RunnerServer
from respawn_hub.settings import HubSettings, NotUnderHub, Settings
from respawn_jobs import logs
from respawn_jobs.errors import RespawnError

logger = logging.getLogger("respawn_hub")


class Server(uvicorn.Server):
    """A server that goes on answering until its runners have ended, so that they can record how.

    The first signal lets runs finish for as long as the settings say; a second one hands them on at once.
    """

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending: Ending = app.state.ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal."""
        if self.should_exit:
            self._ending.hurry()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the runners, then close the listener and everything else."""
        try:
            await run_in_threadpool(self._ending.run)
        finally:
            await super().shutdown(sockets)


def main() -> int:
    """Serve until the hub stops it.

    Returns the exit status: 2 when it was not started by a hub or a setting is wrong, 4 when its store
    cannot be used.
    """
    logs.configure(os.environ.get("RESPAWN_LOG_FORMAT", "text"))
    try:
        hub_settings = HubSettings.from_environment()
    except NotUnderHub as error:
        print(f"respawn: {error}", file=sys.stderr)
        return 2
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors(include_input=False):
            print(f"respawn: RESPAWN_{str(problem['loc'][0]).upper()}: {problem['msg']}", file=sys.stderr)
        return 2
    if settings.shared:
        logger.warning("%s", shared_account(settings))
    host, port = hub_settings.address
    try:
        runners = RunnerServer(os.environ, port=settings.runner_port)
        app = create_app(settings, hub_settings, runners=runners)
    except (RespawnError, OSError) as error:
        print(f"respawn: {error}", file=sys.stderr)
        return 4
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        # Live pages hold their connections open; they are not waited for.
        timeout_graceful_shutdown=2,
    )
    with suppress(KeyboardInterrupt):  # the hub interrupts what it stops
        server = Server(app, config)
        server.run()
    return 0 if server.started else 3


def shared_account(settings: Settings) -> str:
    """Return what an administrator must know of a hub for several people."""
    try:
        account = getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        account = "of this service"
    return (
        f"jobs of all users run as the account {account}: who has custom:respawn:edit can run code as it and "
        f"read its files, {settings.data.absolute()} with everybody's jobs among them. "
        "See docs/how-to/add-to-a-hub.md, 'Where jobs run'."
    )


if __name__ == "__main__":
    sys.exit(main())
