"""Gives queued runs to the executor, and tells the ledger which runners are gone.

An attempt is opened only when the executor can start it now: one that waited for a place would use up the
time in which a runner must claim it.
"""

from __future__ import annotations

import logging

from respawn_jobs.errors import Conflict, NotFound, Unavailable
from respawn_jobs.executors.base import Executor
from respawn_jobs.ledger import Ledger

logger = logging.getLogger(__name__)
_REST = 0.5
"""Seconds between looks for dead runners and expired leases."""


class Dispatcher:
    """Moves runs from the queue to an executor."""

    def __init__(self, ledger: Ledger, executor: Executor, *, max_running: int, name: str = "local") -> None:
        self._ledger = ledger
        self._executor = executor
        self._max_running = max_running
        self._name = name
        self._submitted: set[str] = set()
        self._watch = ledger.watch()

    def tick(self) -> float:
        """Clear away what died, then start what can start. Returns the seconds to rest."""
        self._notice_the_dead()
        self._start_queued()
        return _REST

    def close(self) -> None:
        """Stop all runners; what they were doing is lost, and said so."""
        self._executor.close()
        for attempt in sorted(self._submitted):
            self._lose(attempt, "the service stopped")
        self._submitted.clear()

    def _notice_the_dead(self) -> None:
        for attempt, reason in self._executor.probe():
            self._submitted.discard(attempt)
            logger.info("runner of %s is gone: %s", attempt, reason)
            self._lose(attempt, reason)
        for run in self._watch.expire():
            logger.warning("%s: its runner stopped answering", run)

    def _lose(self, attempt: str, reason: str) -> None:
        try:
            self._ledger.lose(attempt, reason)
        except Exception:  # whatever one run holds, the others must go on; its lease ends in any case
            logger.exception("%s could not be settled; it is tried again", attempt)

    def _start_queued(self) -> None:
        self._submitted &= self._executor.living()
        places = self._max_running - len(self._submitted)
        if places <= 0:
            return
        for run in self._ledger.queued(places):
            try:
                attempt, token = self._ledger.open_attempt(run.id, self._name)
            except (Conflict, NotFound) as error:
                # Another replica was quicker, or the run was cancelled in between.
                logger.debug("%s is not started here: %s", run.id, error)
                continue
            self._submitted.add(attempt)
            logger.info("%s starts as %s", run.id, attempt)
            try:
                self._executor.submit(attempt, token)
            except Unavailable as error:
                self._ledger.lose(attempt, error.message)
                raise
