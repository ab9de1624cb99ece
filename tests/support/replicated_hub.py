"""A real hub whose service is several replicas on one PostgreSQL, behind a load balancer."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from respawn_jobs.ledger import Ledger
from respawn_jobs.store.service_tables import LeaderRow
from support.hub import RunningHub, running_hub
from support.lonely import LonelyService, start_service
from support.ports import free_port
from support.relay import Relay, relay
from support.waiting import wait_for


class Replicas:
    """Processes of the service that a test starts, kills and starts again, by their numbers."""

    def __init__(self, directory: Path, hub_port: int, balancer: Relay, environment: dict[str, str]) -> None:
        self._directory, self._hub_port = directory, hub_port
        self.balancer = balancer
        self._environment = environment
        self.services: dict[int, LonelyService] = {}

    def start(self, number: int) -> None:
        """Start one and send it requests; wait until it answers."""
        service = start_service(
            self._directory / f"data-{number}", self._hub_port, log=self.log(number), **self._environment
        )
        self.services[number] = service
        wait_for(lambda: _healthy(service), 60, f"replica {number}; see {self.log(number)}")
        self.balance(*self.services)

    def end(self, number: int, *, kill: bool = False) -> None:
        """Stop one, or kill it, and send it no more requests."""
        service = self.services.pop(number)
        (service.process.kill if kill else service.process.terminate)()
        service.process.wait(60)
        self.balance(*self.services)

    def balance(self, *numbers: int) -> None:
        """Let these take all requests in turn."""
        self.balancer.ports = [port_of(self.services[number]) for number in numbers]

    def log(self, number: int) -> Path:
        """Return what a replica says."""
        return self._directory / f"replica-{number}.log"

    def leader(self, ledger: Ledger) -> int | None:
        """Return which one sees to the job servers; None while none does."""
        with ledger.database.session() as session:
            row = session.get(LeaderRow, "job servers")
            port = urlsplit(row.address).port if row is not None else None
        ports = {port_of(service): number for number, service in self.services.items()}
        return ports.get(port or 0)


def _healthy(service: LonelyService) -> bool:
    """Return whether a replica is well; it has no process that hears runners beside it."""
    with suppress(httpx.HTTPError):
        return httpx.get(f"{service.url}/api/v1/health").status_code == 200
    return False


def port_of(service: LonelyService) -> int:
    """Return where a replica listens."""
    return int(urlsplit(service.url).port or 0)


@contextmanager
def replicated_hub(
    directory: Path, db_url: str, *, users: Sequence[str], replicas: int = 2, **environment: str
) -> Iterator[tuple[RunningHub, Replicas]]:
    """Start replicas with the `hub` executor, and a hub that sends requests to them in turn.

    Args:
        directory: an empty directory.
        db_url: a PostgreSQL database with today's schema.
        users: who may sign in.
        replicas: how many there are.
        environment: more variables for them.
    """
    token, hub_port = secrets.token_hex(16), free_port()
    own = {
        "JUPYTERHUB_API_TOKEN": token,
        "RESPAWN_DB_URL": db_url,
        "RESPAWN_BLOBS_URL": (directory / "blobs").as_uri(),
        "RESPAWN_COOKIE_SECRET": secrets.token_hex(32),
        "RESPAWN_EXECUTOR": "hub",
        "RESPAWN_SHARED": "yes",
        **environment,
    }
    with relay() as balancer:
        all_of_them = Replicas(directory, hub_port, balancer, own)
        external = {"external_url": f"http://127.0.0.1:{balancer.port}", "external_token": token}
        try:
            for number in range(replicas):
                # Without their hub: they answer, and are healthy once it does.
                all_of_them.services[number] = start_service(
                    directory / f"data-{number}", hub_port, log=all_of_them.log(number), **own
                )
            all_of_them.balance(*range(replicas))
            with running_hub(
                directory / "hub",
                users=users,
                executor="hub",
                hub_port=hub_port,
                external=external,
                extra="c.JupyterHub.log_level = 10",
            ) as hub:
                yield hub, all_of_them
        finally:
            for service in all_of_them.services.values():
                service.process.terminate()
            for service in all_of_them.services.values():
                try:
                    service.process.wait(30)
                except subprocess.TimeoutExpired:
                    service.process.kill()
                    service.process.wait()
