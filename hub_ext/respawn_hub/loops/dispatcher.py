"""Gives queued runs to the executors, and tells the ledger which runners are gone.

An attempt is opened only when the executor can start it now: one that waited for a place would use up the
time in which a runner must claim it. A dispatcher that drains takes nothing new, and goes on looking after
the runners that it has.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from respawn_jobs.errors import Unavailable
from respawn_jobs.executors.base import Executor
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import JobPlace

logger = logging.getLogger(__name__)
_REST = 0.5
"""Seconds between looks for dead runners and expired leases."""
_STUCK_SECONDS = 30.0
"""How long a runner may take to stop once its attempt has ended: it interrupts the kernel, and closes it."""


class Dispatcher:
    """Moves runs from the queue to an executor, or to the one of several that has their place."""

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        *,
        max_running: int,
        name: str = "local",
        replica: str | None = None,
        also: Mapping[str, Executor] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve executors.

        Args:
            ledger: whose runs start.
            executor: starts them.
            max_running: how many may execute at once.
            name: the executor's, for people.
            replica: the id of the service's replica that this is part of.
            also: more executors by their names, each for places of its own.
            monotonic: a clock of seconds.
        """
        self._ledger = ledger
        self._executors = {name: executor, **(also or {})}
        self._max_running = max_running
        self._replica = replica
        self._submitted: dict[str, set[str]] = {one: set() for one in self._executors}
        self._draining = False
        self._monotonic = monotonic
        self._ended: dict[str, float] = {}
        self._watch = ledger.watch()

    @property
    def busy(self) -> int:
        """How many runners live."""
        return len(self._living())

    @property
    def draining(self) -> bool:
        """Whether nothing new is claimed."""
        return self._draining

    def tick(self) -> float:
        """Clear away what died, then start what can start. Returns the seconds to rest."""
        self._notice_the_dead()
        if not self._draining:
            self._start_queued()
        return _REST

    def drain(self) -> None:
        """Take nothing new from now on; runners that outlive this process are left to the next one."""
        self._draining = True
        for executor in self._executors.values():
            if executor.outlives:
                executor.close()

    def close(self) -> None:
        """End the runners that end with this process. Their runs are requeued: they go on elsewhere."""
        self._draining = True
        for executor in self._executors.values():
            executor.close()
        ended = {name: self._submitted[name] for name, one in self._executors.items() if not one.outlives}
        for attempt in sorted(attempt for submitted in ended.values() for attempt in submitted):
            try:
                # Most have said so themselves by now, and with more to say: then this does nothing.
                self._ledger.requeue(attempt, "the service stopped")
            except Unavailable as error:
                logger.warning("%s is lost when its lease ends: %s", attempt, error.message)
            except Exception:  # whatever one run holds, the others must be requeued; its lease ends anyway
                logger.exception("%s could not be requeued; it is lost when its lease ends", attempt)
        for submitted in ended.values():
            submitted.clear()

    def _living(self) -> set[str]:
        return {attempt for executor in self._executors.values() for attempt in executor.living()}

    def _notice_the_dead(self) -> None:
        for name, executor in self._executors.items():
            for attempt, reason in executor.probe():
                self._submitted[name].discard(attempt)
                logger.info("runner of %s is gone: %s", attempt, reason)
                self._lose(attempt, reason)
        self._watch.expire(self._living())
        self._kill_the_stuck()

    def _kill_the_stuck(self) -> None:
        """Kill runners that hold a place long after their attempt ended, such as one that was stopped."""
        now, living = self._monotonic(), self._living()
        ended = living - self._ledger.open_attempts(living) if living else set()
        self._ended = {attempt: self._ended.get(attempt, now) for attempt in ended}
        for attempt, since in self._ended.items():
            if now - since > _STUCK_SECONDS:
                logger.warning("the runner of %s does not end although its attempt has; killing it", attempt)
                for executor in self._executors.values():
                    executor.cancel(attempt)

    def _lose(self, attempt: str, reason: str) -> None:
        try:
            self._ledger.lose(attempt, reason)
        except Unavailable as error:
            logger.warning("%s is settled later: %s", attempt, error.message)
        except Exception:  # whatever one run holds, the others must go on; its lease ends in any case
            logger.exception("%s could not be settled; it is tried again", attempt)

    def _start_queued(self) -> None:
        waiting = cache(self._ledger.waiting_places)
        refused = [error for name in self._executors if (error := self._start(name, waiting)) is not None]
        if refused:
            raise refused[0]

    def _start(self, name: str, waiting: Callable[[], Sequence[JobPlace]]) -> Unavailable | None:
        """Start what can start by one executor; return why something that was to did not."""
        executor, submitted = self._executors[name], self._submitted[name]
        submitted &= executor.living()
        places = executor.places(waiting)
        slots = self._max_running - len(submitted) if places is None else sum(places.values())
        # Runners that outlive this process are not lost with it.
        replica = None if executor.outlives else self._replica
        claimed = self._ledger.claim_runs(name, replica, slots, places)
        submitted |= {attempt for _, attempt, _, _ in claimed}
        refused: Unavailable | None = None
        for run, attempt, token, place in claimed:
            logger.info("%s starts as %s", run, attempt)
            try:
                executor.submit(attempt, token, place)
            except Exception as error:  # noqa: BLE001  whatever keeps one from starting, the others must start
                submitted.discard(attempt)
                refused = error if isinstance(error, Unavailable) else Unavailable(f"{run}: {error}")
                self._give_back(attempt, refused.message)
        return refused

    def _give_back(self, attempt: str, reason: str) -> None:
        """Settle an attempt that did not start: one that came too late for this process starts elsewhere."""
        if self._draining:
            self._ledger.requeue(attempt, reason)
        else:
            self._lose(attempt, reason)
