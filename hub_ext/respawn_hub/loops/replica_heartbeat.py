"""Reports every few seconds that this replica of the service is there, how busy it is, and how it does."""

from __future__ import annotations

import socket
from collections.abc import Callable

from respawn_hub.loops.dispatcher import Dispatcher
from respawn_jobs.ledger import Ledger

_REST = 3.0


class ReplicaHeartbeat:
    """One replica, as the others and administrators see it."""

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: Dispatcher,
        health: Callable[[], dict[str, str]],
        *,
        replica: str,
        slots: int,
    ) -> None:
        """Report for a replica.

        Args:
            ledger: where it is reported.
            dispatcher: knows how many of its runners live, and whether it drains.
            health: the states of the loops.
            replica: the replica's id.
            slots: how many runs it may execute at once.
        """
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._health = health
        self._replica = replica
        self._slots = slots
        self._host = socket.gethostname()

    def tick(self) -> float:
        """Report. Returns the seconds until the next report."""
        self._ledger.report_replica(
            self._replica,
            host=self._host,
            slots=self._slots,
            busy=self._dispatcher.busy,
            draining=self._dispatcher.draining,
            health=self._health(),
        )
        return _REST

    def close(self) -> None:
        """Report that it has stopped."""
        self._ledger.leave(self._replica)
