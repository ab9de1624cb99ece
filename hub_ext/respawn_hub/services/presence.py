"""Says every few seconds that this replica of the service is there, how busy it is, and how it does."""

from __future__ import annotations

import socket
from collections.abc import Callable

from respawn_hub.services.dispatcher import Dispatcher
from respawn_jobs.ledger import Ledger

_REST = 3.0


class Presence:
    """One replica, as the others and administrators see it."""

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: Dispatcher,
        health: Callable[[], dict[str, str]],
        *,
        replica: str,
        places: int,
    ) -> None:
        """Speak for a replica.

        Args:
            ledger: where it is said.
            dispatcher: knows how many of its runners live, and whether it drains.
            health: what the loops say of themselves.
            replica: the replica's id.
            places: how many runs it may execute at once.
        """
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._health = health
        self._replica = replica
        self._places = places
        self._host = socket.gethostname()

    def tick(self) -> float:
        """Say it. Returns the seconds until it is to be said again."""
        self._ledger.say_present(
            self._replica,
            host=self._host,
            places=self._places,
            busy=self._dispatcher.busy,
            draining=self._dispatcher.draining,
            health=self._health(),
        )
        return _REST

    def close(self) -> None:
        """Say that it has stopped."""
        self._ledger.leave(self._replica)
