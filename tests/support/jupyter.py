"""A real Jupyter server with JupyterLab and Respawn's extension, on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from support.waiting import wait_for

LABEXTENSION = Path(__file__).parents[2] / "hub_ext" / "respawn_server" / "labextension"
TOKEN = "token-of-a-test"


@dataclass(frozen=True)
class Jupyter:
    """A server that runs; `root` is where its notebooks are."""

    url: str
    root: Path
    log: Path

    def client(self, **arguments: object) -> httpx.Client:
        """Return a client that is signed in."""
        headers = {"Authorization": f"token {TOKEN}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, **arguments)  # type: ignore[arg-type]


@contextmanager
def running_jupyter(directory: Path, environment: dict[str, str] | None = None) -> Iterator[Jupyter]:
    """Start `jupyter lab` with its files below `directory`; stop it and its kernels at the end."""
    root, log, extensions = directory / "root", directory / "jupyter.log", directory / "labextensions"
    root.mkdir(parents=True)
    extensions.mkdir()
    # The source tree's plugin, not the copy of the last installation.
    (extensions / "respawn").symlink_to(LABEXTENSION, target_is_directory=True)
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "RESPAWN_RESTORE": "restore",
    }
    command = [
        *(
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            "--port=0",
            "--ServerApp.port_retries=0",
        ),
        *(f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={TOKEN}", "--LabApp.news_url=None"),
        f"--LabApp.extra_labextensions_path={extensions}",
    ]
    own = {name: str(directory / place) for name, place in places.items()}
    with log.open("w") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **own, **(environment or {})}, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield Jupyter(wait_for(lambda: _address(process, log), 60, "jupyter lab"), root, log)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server, and what is left of it when a page that was just opening keeps it from ending."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str | None:
    text = log.read_text()
    assert process.poll() is None, text
    found = re.search(r"http://127\.0\.0\.1:(\d+)/lab", text)
    return f"http://127.0.0.1:{found[1]}" if found else None
