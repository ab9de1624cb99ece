"""The process that hears runners, and nobody else: `python -m respawn_hub.runners.process`.

    python -m respawn_hub.runners.process PARENT LISTENER REPORTS

The service starts it (`respawn_hub.runners.server`) with its own environment and settings. It answers
on the listening socket LISTENER, a descriptor, over the same store; it writes to the descriptor REPORTS what
the service is to count (`respawn_hub.runners.reports`). It ends when its stdin does, and when PARENT does.

A request of a person can hold an interpreter for seconds, whatever limits there are. It is another one than
that which must renew the leases of runs.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from contextlib import suppress

import uvicorn

from respawn_hub.runners.context import RunnerApi
from respawn_hub.runners.reports import Reports
from respawn_hub.runners.runner_app import create_runner_app
from respawn_hub.startup.settings import Settings
from respawn_hub.startup.store import open_ledger
from respawn_hub.web.connection_deadlines import server_config
from respawn_jobs import logs
from respawn_jobs.host.fast_imports import leave_out_grammars
from respawn_jobs.ledger.context.ports import NoChannels
from respawn_kernels.host.own_process import die_with

logger = logging.getLogger("respawn_hub.runners.process")


def main(arguments: list[str]) -> int:
    """Answer runners until the service closes this process's stdin; return the exit status."""
    leave_out_grammars()
    parent, listener, reports = (int(argument) for argument in arguments)
    die_with(parent)
    os.set_inheritable(reports, False)
    logs.configure(os.environ.get("RESPAWN_LOG_FORMAT", "text"))
    settings = Settings()
    ledger = open_ledger(settings)
    with os.fdopen(reports, "w") as pipe, socket.socket(fileno=listener) as listening:
        observer = Reports(pipe)
        ledger.attach(NoChannels(), observer)
        api = RunnerApi(ledger=ledger, uploads=settings.uploads, wake=observer.wake)
        server = uvicorn.Server(server_config(create_runner_app(api), lifespan="off"))
        threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    ledger.close()
    return 0


def _end_with_stdin(server: uvicorn.Server) -> None:
    """Let the server end when the service says so, by closing the pipe."""
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
