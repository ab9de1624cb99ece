"""The hub's process of an embedded start, from its environment to the last of its children."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import httpx
import psutil

from respawn_kernels.host.own_process import DiesWithParent

_READY_SECONDS = 120.0
_STOP_SECONDS = 30.0


class HubFailed(Exception):
    """The hub ended by itself, or never became ready."""


class EmbeddedHub:
    """A JupyterHub with its proxy, its service and its users' servers, that ends as a whole.

    Args:
        checkout: the directory of this repository, with `config/embedded` and, after `make setup`, the proxy.
        data: directory for the hub's database, its log (`hub.log`) and the service's store; it exists.
        port: TCP port on 127.0.0.1 at which browsers find the hub.
        user: name of the one person who may sign in.
        password: that person's password.

    Raises:
        HubFailed: configurable-http-proxy is not installed.
    """

    def __init__(self, checkout: Path, data: Path, port: int, user: str, password: str) -> None:
        self._log = data / "hub.log"
        self._data = data
        self._health = f"http://127.0.0.1:{port}/services/respawn/api/v1/health"
        self._command = [
            sys.executable,
            "-m",
            "jupyterhub",
            "--config",
            str(checkout / "config/embedded/jupyterhub_config.py"),
        ]
        hub_port, proxy_port = _free_ports(2)
        self._environment = {
            **os.environ,
            # Servers, jobs and the proxy find this environment's programs also when it was not activated.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "RESPAWN_EMBEDDED_DATA": str(data),
            "RESPAWN_EMBEDDED_PORT": str(port),
            "RESPAWN_EMBEDDED_USER": user,
            "RESPAWN_EMBEDDED_PASSWORD": password,
            "RESPAWN_EMBEDDED_PROXY": _proxy_command(checkout),
            "RESPAWN_EMBEDDED_HUB_PORT": str(hub_port),
            "RESPAWN_EMBEDDED_PROXY_PORT": str(proxy_port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the hub, in a session of its own: Ctrl-C in the terminal reaches us, and we end it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._data,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Killed as we may be, we leave no hub behind.
                preexec_fn=DiesWithParent(signal.SIGTERM),
            )
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the hub as its administrator would, then end whatever is still there."""
        process = self._process
        if process is None:
            return
        family = _family(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        _gone, left = psutil.wait_procs(family, timeout=5)
        for survivor in left:
            survivor.kill()
        psutil.wait_procs(left, timeout=5)

    def wait_until_ready(self, stop: threading.Event) -> None:
        """Return when the service answers, or `stop` is set. Raises HubFailed."""
        ends = time.monotonic() + _READY_SECONDS
        while not stop.is_set():
            self._check()
            try:
                if httpx.get(self._health, timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                pass  # not up yet
            if time.monotonic() > ends:
                raise HubFailed(f"the service is not ready after {_READY_SECONDS:.0f} s; see {self._log}")
            stop.wait(0.1)

    def watch(self, stop: threading.Event) -> None:
        """Return when `stop` is set. Raises HubFailed when the hub ends by itself."""
        while not stop.wait(0.5):
            self._check()

    def _check(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            last = self._log.read_text(errors="replace").splitlines()[-15:]
            raise HubFailed("\n".join([f"the hub ended by itself; its log is {self._log}:", *last]))


def _proxy_command(checkout: Path) -> str:
    local = checkout / "node_modules/.bin/configurable-http-proxy"
    found = str(local) if local.exists() else shutil.which("configurable-http-proxy")
    if found is None:
        raise HubFailed("configurable-http-proxy is missing: run `make setup`")
    return found


def _free_ports(count: int) -> list[int]:
    """Return ports of the loopback that were free a moment ago, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
