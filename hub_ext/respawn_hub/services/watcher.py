"""Looks for objects that appear in the inbox, and makes the runs of those that have settled."""

from __future__ import annotations

import logging
from collections.abc import Callable

from respawn_jobs.ledger import Ledger

logger = logging.getLogger(__name__)
_LONGEST_REST = 5.0
"""Seconds after which due watches are asked for again: somebody may have added one."""


class Watcher:
    """Looks at each watch every so often; of several replicas, one looks."""

    def __init__(self, ledger: Ledger, queued: Callable[[], None], *, every_seconds: float) -> None:
        self._ledger = ledger
        self._queued = queued
        self._every = every_seconds

    def tick(self) -> float:
        """Look at what is due. Returns the seconds to rest."""
        runs = self._ledger.look(self._every)
        if runs:
            logger.info("objects appeared: %s", ", ".join(runs))
            self._queued()
        return min(self._every, _LONGEST_REST)
