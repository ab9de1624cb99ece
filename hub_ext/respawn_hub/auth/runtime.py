"""What every handler of the running service shares, found through the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from respawn_hub.auth.sessions import Sessions
from respawn_hub.hub.client import Hub
from respawn_hub.hub.people import People
from respawn_hub.monitoring.wiring import Monitoring
from respawn_hub.startup.settings import HubSettings, Settings
from respawn_hub.web.threads import Threads
from respawn_jobs.ledger import Ledger

_HUB_QUESTIONS = 4


@dataclass(frozen=True)
class Runtime:
    """The objects that the service is made of; built once, in `respawn_hub.app`."""

    settings: Settings
    hub_settings: HubSettings
    hub: Hub
    people: People
    sessions: Sessions
    ledger: Ledger
    wake: Callable[[], None]
    """Tell the scheduler and the dispatcher that something changed."""
    health: Callable[[], dict[str, str]]
    """What the background loops say of themselves: `ok`, or what goes wrong."""
    watching: Monitoring
    """Channels, metrics and the service's health."""
    hub_threads: Threads = field(default_factory=lambda: Threads(_HUB_QUESTIONS))
    """Questions to the hub; who waits for one occupies no thread."""

    def run_link(self, run: str) -> str:
        """Return the address of a run's page: absolute when the hub knows its own, else a path."""
        return f"{self.hub_settings.public_url or self.hub_settings.prefix}runs/{run}"


async def runtime(request: Request) -> Runtime:
    """Return the running service's objects."""
    found: Runtime = request.app.state.runtime
    return found


RuntimeDep = Annotated[Runtime, Depends(runtime)]
