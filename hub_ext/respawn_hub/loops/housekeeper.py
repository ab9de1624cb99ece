"""Removes what is no longer kept: old runs, old records, and then the blobs that nothing names any more.

Once after its start it also measures, piece by piece, blobs that were stored before their sizes were counted.

The ledger decides what, in transactions that any number of replicas may try at once; this loop only chooses
when to ask. Each round is bounded, so that a large store is cleaned up in many small pieces.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from respawn_jobs.ledger import Ledger

logger = logging.getLogger(__name__)
_REST = 300.0
"""Seconds between two rounds when all is done."""
_SHORT_REST = 5.0
"""Seconds to the next round while there is more to do."""
_INCOMPLETE_SECONDS = 6 * 3600.0
"""Seconds between two looks for what broken writes have left, which goes through the whole store."""
_MANY = 100
"""Runs of one job in a round: it may have more."""


class Housekeeper:
    """Keeps the store from growing for ever."""

    def __init__(self, ledger: Ledger, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._collector = ledger.collector()
        self._monotonic = monotonic
        self._looked = float("-inf")
        self._measured: str | None = ""
        """Up to which blob the sizes are known; None when all are."""

    def tick(self) -> float:
        """Remove some of what is no longer kept. Returns the seconds to rest."""
        removed = self._ledger.remove_old_runs()
        for job, count in removed.items():
            logger.info("%s: %d runs are no longer kept", job, count)
        self._ledger.remove_old_records()
        self._remove_incomplete()
        step = self._collector.step()
        if step.removed:
            logger.info("%d blobs that nothing named were removed", step.removed)
        if self._measured is not None:
            self._measured = self._ledger.measure_blobs(self._measured)
        more = (
            not step.ended or self._measured is not None or any(count >= _MANY for count in removed.values())
        )
        return _SHORT_REST if more else _REST

    def _remove_incomplete(self) -> None:
        if self._monotonic() - self._looked < _INCOMPLETE_SECONDS:
            return
        removed = self._ledger.remove_incomplete()
        self._looked = self._monotonic()
        if removed:
            logger.info("%d files that broken writes had left were removed", removed)
