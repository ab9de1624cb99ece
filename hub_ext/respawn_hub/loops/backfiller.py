"""Makes the runs of backfills as slots for them come free.

The ledger decides which, in transactions that any number of replicas may try at once; this loop only chooses
when to ask. The end of a run wakes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from respawn_jobs.ledger import Ledger

logger = logging.getLogger(__name__)
_REST = 1.0
"""Seconds after which backfills are looked at again: another replica's runs may have ended."""


class Backfiller:
    """Queues the runs of backfills."""

    def __init__(self, ledger: Ledger, queued: Callable[[], None]) -> None:
        self._ledger = ledger
        self._queued = queued

    def tick(self) -> float:
        """Make the runs that there are slots for. Returns the seconds to rest."""
        runs = self._ledger.fill_backfills()
        if runs:
            logger.info("backfilled: %d runs, the first %s", len(runs), runs[0])
            self._queued()
        return _REST
