"""The executor whose servers a hub starts, with a played hub and played servers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from respawn_hub.job_servers.accounts import Accounts
from respawn_hub.job_servers.executor import HubExecutor
from respawn_hub.job_servers.places import HubPlaces
from respawn_jobs.api.job_profiles import Profiles
from respawn_jobs.api.job_server_protocol import JobServerReport
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.context.job_places import ServerKind
from respawn_jobs.model.kernels import JobPlace, ServerKernel
from support.waiting import wait_for


class PlayedHub:
    """Servers that start and stop at once."""

    def __init__(self) -> None:
        self.started: dict[str, tuple[str, str]] = {}
        self.options: dict[str, dict[str, Any]] = {}
        self.stopped: list[str] = []
        self.refusal: str | None = None
        self.failed: str | None = None
        self.stops = True
        """Whether it stops servers."""

    def start(self, kind: ServerKind, name: str, nonce: str, options: Mapping[str, Any]) -> None:
        if self.refusal is not None:
            raise Unavailable(self.refusal)
        self.started[name] = (kind.account, nonce)
        self.options[name] = dict(options)

    def runs(self, account: str, name: str) -> bool:
        return name in self.started and name not in self.stopped and self.failed is None

    def failure(self, account: str, name: str) -> str | None:
        return self.failed

    def stop(self, account: str, name: str) -> None:
        if not self.stops:
            raise Unavailable(f"the hub does not stop the job server {name} of {account}")
        self.stopped.append(name)


class PlayedSeconds:
    """Seconds that tests let pass."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Played:
    """An executor with its hub."""

    def __init__(
        self,
        ledger: Ledger,
        clock: PlayedSeconds,
        hub: PlayedHub,
        profiles: Profiles | None = None,
        teams: Mapping[str, str] = MappingProxyType({"team/risk": "risk-jobs"}),
    ) -> None:
        self.ledger, self.clock, self.hub = ledger, clock, hub
        where = HubPlaces(Accounts(teams), profiles, {"ada": frozenset({"ml"}), "eve": frozenset()}.get)
        ledger.attach_places(where)
        self.executor = HubExecutor(ledger, hub, where, slots=2, idle_seconds=60.0, monotonic=clock)

    def places(self, *namespaces: str) -> dict[str, int]:
        places = [JobPlace(namespace) for namespace in namespaces]
        return {place.namespace: free for place, free in self.executor.places(lambda: places).items()}

    def started(self, count: int = 1) -> str:
        """The name of the newest server, once so many have been started."""
        wait_for(lambda: len(self.hub.started) == count, 10, "the server")
        return list(self.hub.started)[-1]

    def ready(
        self,
        namespace: str,
        count: int = 1,
        profile: str | None = None,
        kernels: list[ServerKernel] | None = None,
    ) -> str:
        """Have a server for a namespace that has registered."""
        self.executor.places(lambda: [JobPlace(namespace, profile)])
        name = self.started(count)
        account, nonce = self.hub.started[name]
        self.ledger.register_job_server(name, account, nonce)
        self.executor.hear(name, JobServerReport(kernels=kernels))
        return name

    def order(self, name: str) -> list[str]:
        return [order.attempt for order in self.executor.orders(name, lambda: None).start]

    def pass_seconds(self, seconds: float) -> None:
        self.clock.now += seconds
