"""Makes the runs that follow ended runs.

The ledger decides what follows, in transactions that any number of replicas may try at once; this loop only
chooses when to ask. Whoever ends a run through this service wakes it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from respawn_jobs.ledger import Ledger

logger = logging.getLogger(__name__)
_REST = 1.0
"""Seconds after which ended runs are looked for again: another replica may have ended one."""
_REST_IN_TROUBLE = 10.0
_FORGET_EVERY = 600.0
_AT_ONCE = 100


class DownstreamLoop:
    """Queues downstream runs, and forgets old calls of webhooks.

    Args:
        ledger: the store's use cases.
        queued: called without arguments after runs were queued: it wakes the dispatcher.
        monotonic: a clock of seconds that is never set back.
    """

    def __init__(
        self, ledger: Ledger, queued: Callable[[], None], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger = ledger
        self._queued = queued
        self._monotonic = monotonic
        self._forgotten_at = float("-inf")

    def tick(self) -> float:
        """Make the runs that are downstream of what ended.

        Returns the seconds to rest: longer while all that is left makes trouble.
        """
        now = self._monotonic()
        if now - self._forgotten_at >= _FORGET_EVERY:
            self._ledger.forget_calls()
            self._forgotten_at = now
        runs, troubled = self._ledger.trigger_downstream(_AT_ONCE)
        if runs:
            logger.info("queued downstream: %s", ", ".join(runs))
            self._queued()
        return _REST_IN_TROUBLE if troubled and not runs else _REST
