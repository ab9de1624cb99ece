"""Makes due schedules into queued runs, at the very second.

The ledger decides what is due, in transactions that any number of replicas may try at once; this loop only
chooses when to ask.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.executors.base import NEAR_SECONDS
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import ForeseenRun

logger = logging.getLogger(__name__)
_MAX_REST = 1.0
"""Seconds after which schedules are looked at again: another replica may have added one."""
_MIN_REST = 0.005
_SET_BACK = timedelta(seconds=30)
"""How far a clock goes back before schedules are looked through: small steps are made up by waiting."""


class Scheduler:
    """Queues runs when they are due.

    Args:
        ledger: the store's use cases.
        queued: called without arguments after runs were queued: it wakes the dispatcher.
        expected: called some seconds before runs are due, with all that are due until then, and how many
            seconds that is.
        ahead: how many seconds before they are due it is called first; a last time it is shortly before.
        clock: returns the present moment, in UTC.
    """

    def __init__(
        self,
        ledger: Ledger,
        queued: Callable[[], None],
        *,
        expected: Callable[[Sequence[ForeseenRun], float], None] = lambda _runs, _seconds: None,
        ahead: float = NEAR_SECONDS,
        clock: Clock = utc_now,
    ) -> None:
        self._ledger = ledger
        self._queued = queued
        self._clock = clock
        self._latest: datetime | None = None
        self._expected = expected
        self._expected_for: dict[float, datetime] = {}
        self._horizons = sorted({ahead, NEAR_SECONDS}, reverse=True)

    def tick(self) -> float:
        """Queue what is due. Returns the seconds until the next due time, at most one."""
        self._mind_the_clock()
        runs = self._ledger.queue_due()
        if runs:
            logger.info("due: %s", ", ".join(runs))
            self._queued()
        due = self._ledger.next_due()
        if due is None:
            return _MAX_REST
        rest = (due - self._clock()).total_seconds()
        for seconds in self._horizons:
            if 0 < rest <= seconds and due != self._expected_for.get(seconds):
                self._expected_for[seconds] = due
                self._expected(self._ledger.foreseen(self._clock() + timedelta(seconds=seconds)), seconds)
        if rest < -_MAX_REST and not runs:
            # It should have been queued just now: its trouble must not make haste.
            return _MAX_REST
        return min(_MAX_REST, max(_MIN_REST, rest))

    def _mind_the_clock(self) -> None:
        """At the start, and when the clock was set back, find schedules that wait for a time far ahead."""
        now = self._clock()
        if self._latest is None or now < self._latest - _SET_BACK:
            taken_back = self._ledger.take_back_schedules()
            if taken_back:
                logger.warning("the clock was set back: %d schedules count from now", taken_back)
            self._latest = now
        self._latest = max(self._latest, now)
