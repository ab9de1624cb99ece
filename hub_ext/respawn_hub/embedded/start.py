"""A whole Respawn on this machine for one person: `python -m respawn_hub.embedded`, which `make up` runs.

It listens on the loopback only. The password is made at the first start and kept, readable by its owner
alone, in the data directory with everything else. Ctrl-C ends the hub and all that it started.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from respawn_hub.embedded.example_jobs import seed
from respawn_hub.embedded.hub_process import EmbeddedHub, HubFailed
from respawn_jobs.errors import RespawnError

CHECKOUT = Path(__file__).resolve().parents[3]
USER = "demo"


class NotPossible(Exception):
    """The hub cannot be started like this; the message says what to do."""


def main(arguments: list[str] | None = None) -> int:
    """Set up what is missing, run the hub until a signal stops it, and return the exit status.

    Args:
        arguments: the command line; by default the process's.

    Returns:
        0 when stopped by Ctrl-C or SIGTERM, 1 when the hub failed, 2 when it could not be started.
    """
    parser = argparse.ArgumentParser(prog="python -m respawn_hub.embedded", description=main.__doc__)
    parser.add_argument("--port", type=int, default=8000, help="port on the loopback (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=Path(".respawn/hub"), help="directory for all files")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        return _run(options.port, options.data.absolute(), stop)
    except (NotPossible, HubFailed) as error:
        _say(f"respawn: {error}", sys.stderr)
        return 2 if isinstance(error, NotPossible) else 1
    except RespawnError as error:
        _say(f"respawn: the examples could not be set up: {error.message}", sys.stderr)
        return 1


def _run(port: int, data: Path, stop: threading.Event) -> int:
    check_port(port)
    with locked(data, port):
        return _run_in(port, data, stop)


def _run_in(port: int, data: Path, stop: threading.Event) -> int:
    password = kept_password(data / "password")
    home = data / "home" / USER
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    failed = seed(data / "respawn", USER, CHECKOUT / "examples", home, lambda text: _say(f"  {text} …"))
    if stop.is_set():
        return 0
    _say("  starting the hub …")
    with EmbeddedHub(CHECKOUT, data, port, USER, password) as hub:
        hub.wait_until_ready(stop)
        if not stop.is_set():
            _say(_welcome(port, password, failed))
        hub.watch(stop)
        _say("\n  stopping …")
    _say("Stopped; nothing is left running.")
    return 0


@contextmanager
def locked(data: Path, port: int) -> Iterator[None]:
    """Hold the data directory: two hubs in one would end each other's proxy and run each other's jobs.

    Raises NotPossible, naming the hub that holds it, or why it cannot be made or written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data / "lock").open("a+")
    except OSError as error:
        raise NotPossible(
            f"the data directory {data} cannot be used ({error.strerror}). Choose another: `make up DATA=…`"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise NotPossible(
                f"the data directory {data} is in use by {lock.read().strip() or 'another hub'}. "
                "Stop that one, or choose another directory: `make up DATA=…`"
            ) from error
        lock.truncate(0)
        lock.write(f"a hub on port {port} (process {os.getpid()})\n")
        lock.flush()
        yield


def check_port(port: int) -> None:
    """Raise NotPossible, naming the port and the option, when it is in use or cannot be listened on."""
    if not 0 < port < 65536:
        raise NotPossible(f"there is no port {port}. Choose one from 1 to 65535: `make up PORT=8000`")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            other = port + 1 if 1024 <= port < 65535 else 8000
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise NotPossible(
                f"port {port} cannot be used ({reason}). Choose another: `make up PORT={other}`, "
                f"or --port {other}."
            ) from error


def kept_password(path: Path) -> str:
    """Return the sign-in's password, made at the first start and kept in a file that only its owner reads."""
    if not path.exists():
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(12) + "\n")
    return path.read_text().strip()


def _welcome(port: int, password: str, failed: str) -> str:
    address = f"http://127.0.0.1:{port}/services/respawn/"
    return f"""
Respawn is ready.

  Address   {address}
  Sign in   {USER}
  Password  {password}
  Debug     {address}debug/{failed}
            opens a run that has failed, at its failing cell, in JupyterLab

Ctrl-C stops it."""


def _say(text: str, to: TextIO | None = None) -> None:
    print(text, file=to or sys.stdout, flush=True)
