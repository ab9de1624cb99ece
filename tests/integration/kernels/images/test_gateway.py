"""Kernels on another host, by a Jupyter Kernel Gateway: the other host is a container of the image."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.image_builds import BuiltImage, needs_containers
from support.notebooks import notebook, text
from support.ports import free_port
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3600), needs_containers]
TOKEN = "token-of-the-gateway"
OWN_TOKEN = "token-of-the-server"


@pytest.fixture
def gateway(built: BuiltImage) -> Iterator[str]:
    """The address of a gateway in a container, whose port is on this machine's loopback alone."""
    port = free_port()
    words = ("jupyter", "kernelgateway", "--ip=0.0.0.0", "--port=8888")
    options = ("--publish", f"127.0.0.1:{port}:8888", "--env", f"KG_AUTH_TOKEN={TOKEN}")
    with built.containers.started(built.image.tag, *words, options=options, name="respawn-gateway"):
        address = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                return httpx.get(f"{address}/api?token={TOKEN}").is_success
            except httpx.TransportError:
                return False

        wait_for(answers, timeout=120)
        yield address


def test_a_server_shows_the_kernels_of_the_gateway_by_their_names(gateway: str, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "jupyter_server", f"--gateway-url={gateway}", f"--port={port}"]
    command += ["--allow-root", "--no-browser", f"--IdentityProvider.token={OWN_TOKEN}"]
    variables = {**os.environ, "JUPYTER_GATEWAY_AUTH_TOKEN": TOKEN}
    server = subprocess.Popen(command, cwd=tmp_path, env=variables)
    try:
        address = f"http://127.0.0.1:{port}/api"

        def specs() -> dict[str, object]:
            try:
                told = httpx.get(f"{address}/kernelspecs?token={OWN_TOKEN}")
            except httpx.TransportError:
                return {}
            return dict(told.json()["kernelspecs"]) if told.is_success else {}

        found = wait_for(specs, timeout=120)
        assert "respawn-base" in found
        started = httpx.post(
            f"{address}/kernels?token={OWN_TOKEN}", json={"name": "respawn-base"}, timeout=60
        )
        assert started.json()["name"] == "respawn-base"
    finally:
        server.terminate()
        server.wait(timeout=60)


def test_the_runner_does_not_follow_a_kernel_to_another_host(gateway: str, tmp_path: Path) -> None:
    """It holds the state in a child of the kernel, on its own machine, and starts no kernel elsewhere."""
    (tmp_path / "in.ipynb").write_text(text(notebook("1", kernel="respawn-base")))
    command = [sys.executable, "-c", "from respawn_jobs.cli import main; main()", "run", "in.ipynb"]
    variables = {"JUPYTER_GATEWAY_URL": gateway, "JUPYTER_GATEWAY_AUTH_TOKEN": TOKEN}
    variables |= {"JUPYTER_PATH": "", "RESPAWN_DATA": str(tmp_path / "data")}
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert "unknown kernel 'respawn-base'" in done.stderr
