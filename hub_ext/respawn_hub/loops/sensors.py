"""Pokes the sensors, and makes the runs of objects in the inbox that have settled."""

from __future__ import annotations

import logging
from collections.abc import Callable

from respawn_jobs.ledger import Ledger

logger = logging.getLogger(__name__)
_MAX_REST = 5.0
"""Seconds after which due sensors are asked for again: somebody may have added one."""


class SensorLoop:
    """Pokes each sensor every so often; of several replicas, one pokes.

    Args:
        ledger: the store's use cases.
        queued: called without arguments after runs were queued: it wakes the dispatcher.
        every_seconds: seconds between two pokes of one sensor.
    """

    def __init__(self, ledger: Ledger, queued: Callable[[], None], *, every_seconds: float) -> None:
        self._ledger = ledger
        self._queued = queued
        self._every = every_seconds

    def tick(self) -> float:
        """Poke what is due. Returns the seconds to rest."""
        runs = self._ledger.poke_sensors(self._every)
        if runs:
            logger.info("objects appeared: %s", ", ".join(runs))
            self._queued()
        return min(self._every, _MAX_REST)
