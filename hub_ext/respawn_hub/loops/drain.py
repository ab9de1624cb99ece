"""How a replica stops: it takes nothing new, lets its runs finish for a while, and requeues the rest."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from respawn_hub.loops.dispatcher import Dispatcher
from respawn_hub.loops.replica_heartbeat import ReplicaHeartbeat
from respawn_hub.loops.supervisor import Supervisor

logger = logging.getLogger(__name__)
_LOOK_SECONDS = 0.1
_LOOPS_SECONDS = 2.0


class DrainingReplica:
    """The end of a replica; the server goes on answering its runners until `run` returns."""

    def __init__(
        self,
        supervisor: Supervisor,
        dispatcher: Dispatcher,
        presence: ReplicaHeartbeat,
        *,
        drain_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the end.

        Args:
            supervisor: the loops, which go on while runs finish.
            dispatcher: has the runs.
            presence: tells others that this replica drains, and that it is gone.
            drain_seconds: for how long runs may go on.
            monotonic: a clock of seconds.
        """
        self.supervisor = supervisor
        self._dispatcher = dispatcher
        self._presence = presence
        self._drain_seconds = drain_seconds
        self._monotonic = monotonic
        self._hurried = threading.Event()

    def hurry(self) -> None:
        """Let nothing finish any more: whoever stops the service does not want to wait."""
        self._hurried.set()

    def run(self) -> None:
        """End the replica. Doing it twice does no harm."""
        self._dispatcher.drain()
        self.supervisor.wake()
        self._let_finish()
        self.supervisor.stop(_LOOPS_SECONDS)
        self._dispatcher.close()
        try:
            self._presence.close()
        except Exception:  # the database may be the reason why we stop; silence tells the same, later
            logger.warning("could not say that this replica stopped", exc_info=True)

    def _let_finish(self) -> None:
        ends = self._monotonic() + self._drain_seconds
        if self._dispatcher.busy and self._drain_seconds:
            logger.info("draining: runs may finish within %g s", self._drain_seconds)
        while self._dispatcher.busy and self._monotonic() < ends:
            if self._hurried.wait(_LOOK_SECONDS):
                return
