"""The hub of `config/containers` on podman's Docker API, with PostgreSQL and the S3 gateway.

Its address is one of the loopback device's own that containers reach, and nobody outside of this machine. All
that it names (networks, containers, volumes) begins with a word of its own, and is gone afterwards.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from support.containers import Containers
from support.hub import RunningHub, proxy_command
from support.leaks import tolerate
from support.ports import free_port
from support.sources import ROOT
from support.waiting import wait_for

CONFIG = ROOT / "config" / "containers" / "jupyterhub_config.py"
_OWN = """
c = get_config()
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allowed_users = set({users!r})
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.services = [dict(name="tests", api_token={token!r})]
c.JupyterHub.load_roles = [
    dict(name="tests", services=["tests"], scopes=["admin:users", "admin:servers", "tokens", "list:users"])
]
"""


@dataclass
class ContainerHub(RunningHub):
    """A hub whose servers are containers."""

    containers: Containers | None = None
    prefix: str = ""
    address: str = ""
    ports: tuple[int, int] = (0, 0)
    """Those of the proxy and of the hub, which containers are to reach."""

    def running(self, user: str) -> dict[str, str]:
        """Return the addresses of a user's containers that run, by their names."""
        return {
            one["Name"]: one["NetworkSettings"]["Networks"][f"{self.prefix}-{user}"]["IPAddress"]
            for one in self._inspected(f"{self.prefix}-{user}")
        }

    def networks(self) -> set[str]:
        """Return the names of the networks that this hub has made."""
        return {name for name in self._listed("network", "ls") if name.startswith(f"{self.prefix}-")}

    def execute(self, container: str, *command: str) -> str:
        """Return what a command puts out in a container."""
        done = self._podman("exec", container, *command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def home(self, user: str) -> Path:
        """Return where the volume of a user's home lies on this machine."""
        done = self._podman("volume", "inspect", f"{self.prefix}-home-{user}")
        assert done.returncode == 0, done.stderr
        return Path(json.loads(done.stdout)[0]["Mountpoint"])

    def job_servers(self, user: str) -> list[str]:
        """Return the names at the hub of a user's job servers."""
        return [name for name in self.hub_api("GET", f"/users/{user}").json()["servers"] if name]

    def gateway(self, user: str) -> str:
        """Return this machine's address on a user's network."""
        (network,) = json.loads(self._podman("network", "inspect", f"{self.prefix}-{user}").stdout)
        return str(network["subnets"][0]["gateway"])

    def owner_of(self, token: str) -> str:
        """Return whose a token of the hub is."""
        answer = httpx.get(f"{self.url}/hub/api/user", headers={"Authorization": f"token {token}"})
        answer.raise_for_status()
        return str(answer.json()["name"])

    def kill_container(self, name: str) -> None:
        """End a container as a machine would that runs out of memory."""
        done = self._podman("kill", "--signal", "KILL", name)
        assert done.returncode == 0, done.stderr

    def process_variable(self, process: psutil.Process, name: str) -> str:
        """Return a variable of a process on this machine."""
        return process.environ()[name]

    def left(self) -> list[str]:
        """Return what is left of this hub: containers and networks."""
        return [*self._containers(f"{self.prefix}-"), *sorted(self.networks())]

    def remove_all(self) -> None:
        """Remove whatever this hub has made."""
        for container in self._containers(f"{self.prefix}-"):
            self._podman("rm", "--force", "--time", "0", container)
        for network in self.networks():
            self._podman("network", "rm", network)
        for volume in self._listed("volume", "ls"):
            if volume.startswith(f"{self.prefix}-"):
                self._podman("volume", "rm", volume)

    def _containers(self, start: str) -> list[str]:
        done = self._podman("ps", "--all", "--format", "{{.Names}}")
        return [name for name in done.stdout.split() if name.startswith(start)]

    def _inspected(self, start: str) -> list[dict[str, object]]:
        done = self._podman("ps", "--format", "{{.Names}}")
        names = [name for name in done.stdout.split() if name == start or name.startswith(f"{start}--")]
        return list(json.loads(self._podman("inspect", *names).stdout)) if names else []

    def _listed(self, *words: str) -> list[str]:
        return self._podman(*words, "--format", "{{.Name}}").stdout.split()

    def _podman(self, *words: str) -> subprocess.CompletedProcess[str]:
        assert self.containers is not None
        return self.containers.podman(*words)


@contextmanager
def container_hub(
    directory: Path,
    containers: Containers,
    image: str,
    *,
    users: Sequence[str],
    variables: Mapping[str, str] | None = None,
) -> Iterator[ContainerHub]:
    """Start a hub of `config/containers`, and remove what it has made at the end of the block.

    Args:
        directory: for all its files.
        containers: how podman is started.
        image: of users' servers.
        users: who may sign in, all with the same password.
        variables: further ones for the hub, such as `RESPAWN_DB_URL`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    prefix, password, token = f"t{secrets.token_hex(3)}", secrets.token_hex(8), secrets.token_hex(16)
    own = directory / "own_config.py"
    own.write_text(_OWN.format(password=password, users=list(users), token=token, proxy=proxy_command()))
    with _docker_api(directory, containers) as socket, _address() as address:
        port, hub_port = free_port(), free_port()
        settings = {
            "DOCKER_HOST": f"unix://{socket}",
            "HUB_ADDRESS": address,
            "HUB_DIRECTORY": str(directory),
            "HUB_PROXY_PORT": str(port),
            "HUB_PROXY_API_PORT": str(free_port()),
            "HUB_PORT": str(hub_port),
            "HUB_PREFIX": prefix,
            "HUB_SERVER_IMAGE": image,
            "HUB_PULL_POLICY": "never",
            "HUB_SERVER_MEMORY": "2G",
            "HUB_OWN_CONFIG": str(own),
        }
        process = _started(directory, {**settings, **(variables or {})})
        url = f"http://{address}:{port}"
        hub = ContainerHub(url, password, directory, process, token)
        hub.containers, hub.prefix, hub.address = containers, prefix, address
        hub.ports = (port, hub_port)
        tolerate(process.pid)
        try:
            hub.wait_until_healthy(120)
            yield hub
            hub.stop()
            assert hub.left() == []
        finally:
            try:
                hub.stop()
            finally:
                hub.remove_all()


@contextmanager
def _docker_api(directory: Path, containers: Containers) -> Iterator[Path]:
    """Serve podman's Docker API on a socket for as long as the block."""
    socket = directory / "docker.sock"
    with (directory / "docker-api.log").open("wb") as log:
        process = subprocess.Popen(
            ["podman", "system", "service", "--time", "0", f"unix://{socket}"],
            env={**os.environ, **containers.variables},
            stdout=log,
            stderr=log,
        )
    tolerate(process.pid)
    try:
        wait_for(socket.exists, 60, "podman's API")
        yield socket
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def _address() -> Iterator[str]:
    """Give this machine an address that its containers reach: one of the loopback device, not 127.*."""
    address = f"10.{secrets.randbelow(50) + 130}.{secrets.randbelow(250) + 1}.1"
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    try:
        yield address
    finally:
        subprocess.run(["ip", "address", "delete", f"{address}/32", "dev", "lo"], check=True)


def _started(directory: Path, settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (directory / "hub.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(CONFIG)],
            cwd=directory,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": path, **settings},
            start_new_session=True,
        )
