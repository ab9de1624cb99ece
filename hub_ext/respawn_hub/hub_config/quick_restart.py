"""Lets a hub notice within seconds that a service of its own has ended; by itself it looks every 30 seconds.

JupyterHub has no setting for that: it makes the spawner of a service without a configuration. So a subclass
takes that spawner's place in the module that makes it. Where JupyterHub has changed, all stays as it is.
"""

from __future__ import annotations

import logging
import time
from typing import Any

logger = logging.getLogger(__name__)
LOOK_SECONDS = 3
MIN_SECONDS = 15.0
"""Seconds between two starts of a service at least: one that cannot start must not be started in a loop."""


def notice_ended_services() -> None:
    """Make this process's hub look at its services often. Doing it twice does no harm."""
    try:
        from jupyterhub.services import service as services
        from traitlets import Integer

        spawner: Any = services._ServiceSpawner
        if spawner.__name__ == "FrequentlyPolled":
            return

        class FrequentlyPolled(spawner):  # type: ignore[misc]  # a class without types
            """A service's process, looked at often."""

            poll_interval = Integer(LOOK_SECONDS)

            def start(self) -> Any:
                self._respawn_started = time.monotonic()
                return super().start()

            async def poll_and_notify(self) -> Any:
                if time.monotonic() - self._respawn_started < MIN_SECONDS:
                    return None
                return await super().poll_and_notify()

        services._ServiceSpawner = FrequentlyPolled
    except (ImportError, AttributeError) as error:
        logger.warning("the hub looks at its services every 30 seconds: JupyterHub has changed (%s)", error)
