"""Looks which of the hub's users are gone, renamed or made anew, and lets their namespaces follow."""

from __future__ import annotations

import time
from collections.abc import Callable

from respawn_hub.hub.people import People

_SHARE = 20.0
"""A hub of many users takes long to list them, and does little else meanwhile: one part in so many."""


class Owners:
    """Compares owners of namespaces with the hub's users.

    Args:
        people: asks the hub and settles what has changed.
        every_seconds: least seconds between two looks; a hub that takes long to answer is asked less often.
        monotonic: a clock of seconds that is never set back.
    """

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
        began = self._now()
        if began < self._next:
            return self._next - began
        self._people.look()
        took = self._now() - began
        rest = max(self._every, _SHARE * took)
        self._next = began + took + rest
        return rest
