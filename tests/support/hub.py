"""A real JupyterHub with Respawn, on free ports of the loopback, in a directory of its own.

    with running_hub(tmp_path, users=("ada", "bob")) as hub:
        hub.service("ada").jobs()          # the API, with a token of ada's
        hub.url, hub.password              # for a browser

Everything that it starts is gone when the block ends; what is left is an error naming it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from respawn_jobs.remote.client import RemoteService
from support.ports import free_port
from support.processes import command_of
from support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
_CONFIG = """
import json, os
import respawn_hub

given = json.loads({given!r})
c.JupyterHub.bind_url = given["url"]
c.JupyterHub.public_url = given["url"]
c.JupyterHub.hub_bind_url = given["hub_url"]
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cookie_secret_file = "cookie_secret"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = given["password"]
c.Authenticator.allowed_users = set(given["users"])
c.Authenticator.admin_users = set(given["admins"])
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = given["homes"] + "/{{username}}"
c.Spawner.args = given["server_args"]
c.Spawner.environment = given["server_environment"]
c.Spawner.start_timeout = c.Spawner.http_timeout = 120
c.ConfigurableHTTPProxy.command = given["proxy"]
c.ConfigurableHTTPProxy.api_url = given["proxy_api"]
c.ConfigurableHTTPProxy.pid_file = "proxy.pid"
c.JupyterHub.load_groups = given["groups"]
c.JupyterHub.services = [dict(name="tests", api_token=given["api_token"])]
c.JupyterHub.load_roles = [
    dict(name="tests", services=["tests"], scopes=["admin:users", "admin:servers", "tokens", "list:users"]),
    *given["roles"],
]
{extra}
respawn_hub.configure(
    c, data="respawn", environment=given["service_environment"], executor=given["executor"],
    job_server_command=given["job_server_command"],
    jobs_share_an_account=given["several"] and given["executor"] == "local", **given["external"],
)
"""


@dataclass
class RunningHub:
    """A hub that runs, with what a test needs of it."""

    url: str
    """The public address, without a slash at the end."""
    password: str
    directory: Path
    process: subprocess.Popen[bytes]
    _api_token: str
    _open: list[RemoteService] = field(default_factory=list)
    _tokens: dict[str, str] = field(default_factory=dict)
    _left_behind: list[psutil.Process] = field(default_factory=list)

    @property
    def service_url(self) -> str:
        """Where the Respawn service is, through the proxy, without a slash at the end."""
        return f"{self.url}/services/respawn"

    @property
    def data(self) -> Path:
        """The service's data directory."""
        return self.directory / "respawn"

    @property
    def log(self) -> Path:
        """What the hub, the proxy, the service and the users' servers print."""
        return self.directory / "hub.log"

    def home(self, user: str) -> Path:
        """The directory that a user's server shows."""
        path = self.directory / "homes" / user
        path.mkdir(parents=True, exist_ok=True)
        return path

    def hub_api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the hub's own API with the right to manage users, tokens and servers."""
        headers = {"Authorization": f"token {self._api_token}"}
        return httpx.request(method, f"{self.url}/hub/api{path}", headers=headers, timeout=30, **options)

    def token(self, user: str) -> str:
        """Return an API token of a user with all of that user's rights."""
        if user not in self._tokens:
            self.hub_api("POST", f"/users/{user}")  # a user who never signed in is not there yet; else 409
            answer = self.hub_api("POST", f"/users/{user}/tokens", json={"note": "test"})
            answer.raise_for_status()
            self._tokens[user] = answer.json()["token"]
        return self._tokens[user]

    def service(self, user: str) -> RemoteService:
        """Return the service as `user` reaches it by API token; closed with the hub."""
        service = RemoteService(self.service_url, self.token(user))
        self._open.append(service)
        return service

    api = service

    def has_server(self, user: str) -> bool:
        """Return whether a user's single-user server runs."""
        answer = self.hub_api("GET", f"/users/{user}")
        return answer.status_code == 200 and bool(answer.json().get("servers"))

    def service_process(self) -> psutil.Process:
        """Return the Respawn service's process."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if command_of(child)[-2:] == ["-m", "respawn_hub"]:
                return child
        raise AssertionError(f"the service does not run; see {self.log}")

    def server_process(self, user: str, name: str) -> psutil.Process:
        """Return the process of a named server."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            environment = child.environ()
            if environment.get("JUPYTERHUB_SERVER_NAME") == name and environment["JUPYTERHUB_USER"] == user:
                return child
        raise AssertionError(f"the server {name} of {user} does not run; see {self.log}")

    def wait_until_healthy(self, timeout: float = 90.0) -> None:
        """Wait until the service answers."""
        wait_for(lambda: _healthy(self), timeout, f"the hub's Respawn service; see {self.log}")

    def kill(self) -> None:
        """Kill the hub alone; what it has started is left behind."""
        self._left_behind += _family(self.process.pid)[1:]
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start the hub once more, after it has ended, and do not wait for it."""
        self.process = _start(self.directory)

    def stop(self, timeout: float = 60.0) -> None:
        """Stop the hub as a person would, and check that nothing of it is left."""
        for service in self._open:
            service.close()
        family = [*_family(self.process.pid), *self._left_behind]
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        _gone, left = psutil.wait_procs(family, timeout=10)
        names = [f"{process.pid}: {' '.join(command_of(process))}" for process in left]
        for process in left:
            process.kill()
        if names:
            raise AssertionError(f"processes outlived their hub: {names}")


@contextmanager
def running_hub(
    directory: Path,
    *,
    users: Sequence[str] = ("ada",),
    admins: Sequence[str] = (),
    groups: dict[str, dict[str, list[str]]] | None = None,
    roles: Sequence[dict[str, Any]] = (),
    service_environment: dict[str, str] | None = None,
    server_environment: dict[str, str] | None = None,
    extra: str = "",
    executor: str = "local",
    job_server_command: Sequence[str] | None = None,
    hub_port: int | None = None,
    external: dict[str, str] | None = None,
    timeout: float = 90.0,
) -> Iterator[RunningHub]:
    """Start a hub and stop it at the end of the block.

    Args:
        directory: an empty directory for all its files.
        users: who may sign in, all with the same password.
        admins: who of them is an administrator of the hub.
        groups: `c.JupyterHub.load_groups`.
        roles: more roles for `c.JupyterHub.load_roles`.
        service_environment: variables for the Respawn service, such as `RESPAWN_LEASE_SECONDS`.
        server_environment: variables for the users' servers.
        extra: more lines of jupyterhub_config.py, before Respawn's.
        executor: where jobs run, as `respawn_hub.configure` has it.
        job_server_command: what starts a job server, likewise.
        hub_port: where the hub's own API is; None for any port.
        external: `external_url` and `external_token` of replicas that the test starts itself.
        timeout: seconds until the service must be healthy.
    """
    import json

    directory.mkdir(parents=True, exist_ok=True)
    url, password, api_token = f"http://127.0.0.1:{free_port()}", secrets.token_hex(8), secrets.token_hex(16)
    given = {
        "url": url,
        "hub_url": f"http://127.0.0.1:{hub_port or free_port()}",
        "proxy": [proxy_command()],
        "proxy_api": f"http://127.0.0.1:{free_port()}",
        "password": password,
        "api_token": api_token,
        "users": [*users, *admins],
        "admins": list(admins),
        "executor": executor,
        "job_server_command": list(job_server_command) if job_server_command else None,
        "several": len({*users, *admins}) > 1,
        "external": external or {},
        "groups": groups or {},
        "roles": list(roles),
        "homes": str(directory / "homes"),
        "server_args": ["--allow-root"] if os.geteuid() == 0 else [],
        "server_environment": server_environment or {},
        "service_environment": service_environment or {},
    }
    config = directory / "jupyterhub_config.py"
    config.write_text(_CONFIG.format(given=json.dumps(given), extra=extra))
    hub = RunningHub(url, password, directory, _start(directory), api_token)
    try:
        wait_for(lambda: _healthy(hub), timeout, f"the hub's Respawn service; see {hub.log}")
        yield hub
        if hub.process.poll() is not None:
            raise AssertionError(f"the hub ended before its tests, with status {hub.process.returncode}")
    finally:
        hub.stop()


def _start(directory: Path) -> subprocess.Popen[bytes]:
    """Start the hub that is set up in a directory."""
    with (directory / "hub.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(directory / "jupyterhub_config.py")],
            cwd=directory,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            start_new_session=True,
        )


def proxy_command() -> str:
    """Return the path of configurable-http-proxy, as `make setup` installs it."""
    local = ROOT / "node_modules/.bin/configurable-http-proxy"
    found = str(local) if local.exists() else shutil.which("configurable-http-proxy")
    if found is None:
        raise AssertionError("configurable-http-proxy is missing; run `make setup`")
    return found


def _healthy(hub: RunningHub) -> bool:
    if hub.process.poll() is not None:
        raise AssertionError(
            f"the hub ended with status {hub.process.returncode}:\n{hub.log.read_text()[-4000:]}"
        )
    try:
        return httpx.get(f"{hub.service_url}/api/v1/health").status_code == 200
    except httpx.HTTPError:
        return False


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
