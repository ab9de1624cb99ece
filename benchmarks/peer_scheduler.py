"""jupyter-scheduler as people run it: its extension in a Jupyter server, its jobs made over its REST API."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from harness import ROOT  # puts the tests' support modules on the path, too

from support.ports import free_port
from support.waiting import wait_for

_TOKEN = "benchmark"
_PYTHON = ROOT / ".respawn" / "peers" / "bin" / "python"


class JupyterScheduler:
    """A running server with jupyter-scheduler in it, all options at their defaults."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def schedule(self, notebook: str, cron: str) -> None:
        """Make a job definition that runs a notebook of the server's root directory."""
        environments = self._client.get("scheduler/runtime_environments").raise_for_status().json()
        answer = self._client.post(
            "scheduler/job_definitions",
            json={
                "input_uri": notebook,
                "name": "measured",
                "runtime_environment_name": environments[0]["name"],
                "output_formats": ["ipynb"],
                "schedule": cron,
                "timezone": "UTC",
            },
        )
        answer.raise_for_status()


@contextmanager
def running_scheduler(directory: Path, started: float | None = None) -> Iterator[JupyterScheduler]:
    """Start a Jupyter server with its root in `directory`, and stop it at the end.

    `started` is the time (seconds since the epoch) to start it at. It looks for due jobs every ten seconds
    from then on, so this decides how long after a full minute that is.
    """
    if not _PYTHON.exists():
        raise SystemExit("the peers' environment is missing: run `make bench`")
    port = free_port()
    if started is not None:
        wait_for(lambda: time.time() >= started, timeout=120, what="the time to start")
    with (directory / "jupyter-scheduler.log").open("w") as log:
        process = subprocess.Popen(
            [
                str(_PYTHON),
                "-m",
                "jupyter",
                "server",
                "--allow-root",
                "--no-browser",
                "--ip=127.0.0.1",
                f"--port={port}",
                f"--IdentityProvider.token={_TOKEN}",
                f"--ServerApp.root_dir={directory}",
                "--ServerApp.jpserver_extensions={'jupyter_scheduler': True}",
            ],
            stdout=log,
            stderr=log,
        )
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}/", headers={"Authorization": f"token {_TOKEN}"}, timeout=30
    )
    try:
        wait_for(lambda: _answers(client, process), timeout=60, what="the Jupyter server")
        yield JupyterScheduler(client)
    finally:
        client.close()
        process.terminate()
        process.wait(30)


def _answers(client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the Jupyter server ended with status {process.returncode}")
    try:
        return client.get("scheduler/config").is_success
    except httpx.TransportError:
        return False
