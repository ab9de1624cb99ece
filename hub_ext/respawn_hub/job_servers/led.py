"""The `hub` executor of a service with several replicas: one of them sees to the job servers for all.

Job servers report to whichever replica a load balancer chooses, and their requests go on to the one that
leads: `forwarding`. When it ends, or is silent for seconds, another one leads. It finds the servers as a
service does that starts again: servers and their runs go on, and report to it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from respawn_hub.job_servers.executor import HubExecutor
from respawn_jobs.errors import Unavailable
from respawn_jobs.executors.base import NEAR_SECONDS
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.capacity.leadership import Leader
from respawn_jobs.model.kernels import ForeseenRun, JobPlace

logger = logging.getLogger(__name__)

_TASK = "job servers"
_RENEW_SECONDS = 3.0
_REMEMBER_SECONDS = 15.0
"""How often a replica that does not lead reads what the servers have said of their kernels."""


class LedExecutor:
    """A `HubExecutor` in the replica that leads, and none in the others."""

    def __init__(
        self,
        ledger: Ledger,
        own: Leader,
        make: Callable[[], HubExecutor],
        *,
        ahead: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lead nothing yet: `probe` asks for it.

        Args:
            ledger: which replica leads.
            own: this replica, and where the others reach it.
            make: makes the executor; it takes up the job servers that are there.
            ahead: how many seconds before attempts are due their server is started.
            monotonic: a clock of seconds.
        """
        self._ledger, self._own, self._make = ledger, own, make
        self._ahead = max(ahead, NEAR_SECONDS)
        self._now = monotonic
        self._lock = threading.Lock()
        self._here: HubExecutor | None = None
        self._leader: Leader | None = None
        self._asked = self._remembered = float("-inf")
        self._closed = False

    @property
    def outlives(self) -> bool:
        """Job servers go on, and find the next process."""
        return True

    @property
    def ahead(self) -> float:
        """How long before attempts are due their server is started."""
        return self._ahead

    def here(self) -> HubExecutor | None:
        """Return the executor; None where this replica does not lead."""
        return self._here

    def elsewhere(self) -> str:
        """Return where the replica is reached that leads, when it is not this one.

        Raises:
            Unavailable: none leads at this moment.
        """
        leader = self._leader
        if leader is None or leader.replica == self._own.replica:
            raise Unavailable("no replica sees to the job servers at this moment; one will soon")
        return leader.address

    # What the dispatcher asks.

    def places(self, waiting: Callable[[], Sequence[JobPlace]]) -> Mapping[JobPlace, int]:
        """Return the free places, as the executor does; none where another replica leads.

        Args:
            waiting: returns the namespaces and profiles that have runs to start.
        """
        here = self._here
        return here.places(waiting) if here is not None else {}

    def submit(self, attempt: str, token: str, place: JobPlace) -> None:
        """Order an attempt's runner, as the executor does.

        Args:
            attempt: the attempt's id.
            token: what the runner proves itself with; never logged.
            place: whose job it executes, and its profile.

        Raises:
            Unavailable: there is no place any more, or another replica leads.
        """
        here = self._here
        if here is None:
            raise Unavailable("another replica sees to the job servers now")
        here.submit(attempt, token, place)

    def expect(self, runs: Sequence[ForeseenRun] = (), seconds: float = NEAR_SECONDS) -> None:
        """Have servers and kernels started that attempts will need, where this replica leads.

        Args:
            runs: one for each attempt that is foreseen, in their order.
            seconds: within which time they come.
        """
        if (here := self._here) is not None:
            here.expect(runs, seconds)

    def cancel(self, attempt: str) -> None:
        """Have an attempt's runner ended at once."""
        if (here := self._here) is not None:
            here.cancel(attempt)

    def probe(self) -> list[tuple[str, str]]:
        """Lead, if no other replica does; then return attempts whose runner ended, as the executor does.

        Raises:
            Unavailable: the database does not answer. Whoever leads goes on.
        """
        with self._lock:
            if not self._closed and self._now() - self._asked >= _RENEW_SECONDS:
                leader = self._ledger.lead(_TASK, self._own)
                self._asked = self._now()
                self._follow(leader)
            here = self._here
        return here.probe() if here is not None else []

    def living(self) -> set[str]:
        """Return the attempts whose runner lives, as far as this replica knows."""
        here = self._here
        return here.living() if here is not None else set()

    def close(self) -> None:
        """Lead no more, and let requests for orders end. The servers go on. Doing it twice does no harm."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            here, self._here, self._leader = self._here, None, None
            if here is None:
                return
            here.close()
            try:
                self._ledger.step_down(self._own.replica)
            except Unavailable as error:
                logger.warning("another replica sees to the job servers in some seconds: %s", error.message)

    def _follow(self, leader: Leader) -> None:
        """Take note of who leads."""
        ours = leader.replica == self._own.replica
        if ours and self._here is None:
            self._ledger.remember_kernels()
            self._here = self._make()
            logger.info("this replica sees to the job servers now")
        if not ours and self._here is not None:
            logger.warning("the replica %s sees to the job servers now: this one was silent", leader.replica)
            here, self._here = self._here, None
            here.close()
        if not ours and self._now() - self._remembered >= _REMEMBER_SECONDS:
            self._ledger.remember_kernels()
            self._remembered = self._now()
        self._leader = leader
