"""Notices that the hub is gone, does not answer, or no longer accepts the service's token.

A hub that is killed cannot stop its service: the service sees that itself, and ends as if it had been
stopped, so that the hub's next start finds port and data free. A token that is refused ends nothing, because
runs go on without it; the log and the service's health say that nobody can sign in.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress

import psutil

from respawn_hub.hub.client import Hub
from respawn_hub.monitoring.health import HealthPart
from respawn_jobs.errors import Unavailable

logger = logging.getLogger(__name__)
_PROCESS_SECONDS = 0.2
"""Between the hub's end and this look runs may still be begun, only to be requeued."""
_TOKEN_SECONDS = 15.0
_TROUBLE_SECONDS = 5.0
_SILENT = HealthPart(status="degraded", detail="does not answer: nobody can sign in")
_REFUSED = HealthPart(
    status="degraded",
    detail="refuses the token of this service, which must be started with a valid one: nobody can sign in",
)


class HubProcess:
    """The hub's process, as the service that it started sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        # The system itself names the parent; one behind a shell is looked up, with its time of start.
        self._parent = os.getppid() == pid
        self._process: psutil.Process | None = None
        if not self._parent:
            with suppress(psutil.NoSuchProcess):  # it may have ended before we looked
                self._process = psutil.Process(pid)

    def gone(self) -> bool:
        """Return whether it has ended."""
        if self._parent:
            return os.getppid() != self.pid
        try:
            return (
                self._process is None
                or not self._process.is_running()
                or self._process.status() == psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return True


class HubWatch:
    """Looks after the hub; `part` is what the service's health tells of it."""

    def __init__(self, hub: Hub, process: HubProcess | None, leave: Callable[[], None]) -> None:
        """Watch a hub.

        Args:
            hub: its API.
            process: the hub's process where it started this service; None for a replica of its own.
            leave: begins the end of this service.
        """
        self._hub = hub
        self._process = process
        self._leave = leave
        self._left = False
        self.part = HealthPart(status="ok")

    def loops(self) -> dict[str, Callable[[], float]]:
        """Return the loops for the supervisor."""
        found: dict[str, Callable[[], float]] = {"hub": self.ask}
        if self._process is not None:
            found["hub process"] = self.look
        return found

    def look(self) -> float:
        """Begin the service's end when the hub that started it is gone. Returns the seconds to rest."""
        if self._process is not None and not self._left and self._process.gone():
            self._left = True
            logger.warning(
                "the hub that started this service (process %d) is gone: runs are requeued, and the service "
                "ends; the hub's next start brings a new one",
                self._process.pid,
            )
            self._leave()
        return _PROCESS_SECONDS

    def ask(self) -> float:
        """Ask the hub whether it accepts the service's token. Returns the seconds to rest."""
        try:
            part = HealthPart(status="ok") if self._hub.knows_us() else _REFUSED
        except Unavailable:
            part = _SILENT
        if part != self.part:
            if part.status == "ok":
                logger.warning("the hub answers, and accepts this service's token")
            else:
                logger.error("the hub at %s %s", self._hub.settings.api_url, part.detail)
        self.part = part
        return _TOKEN_SECONDS if part.status == "ok" else _TROUBLE_SECONDS
