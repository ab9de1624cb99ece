"""Looks which of the hub's users are gone, renamed or made anew, and lets their namespaces follow."""

from __future__ import annotations

import time
from collections.abc import Callable

from respawn_hub.people import People


class Owners:
    """Compares owners of namespaces with the hub's users."""

    def __init__(
        self, people: People, *, every_seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._people = people
        self._every = every_seconds
        self._now = monotonic
        self._next = float("-inf")

    def tick(self) -> float:
        """Look, unless that was done lately: all loops are woken for things that are none of this one's.

        Returns the seconds to rest.
        """
        rest = self._next - self._now()
        if rest > 0:
            return rest
        self._people.look()
        self._next = self._now() + self._every
        return self._every
