"""Leases as a loop watches them: a runner's silence counts only while the service could have heard it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.attempts import lifecycle
from respawn_jobs.ledger.context.context import Context

_LATE = timedelta(seconds=1)


class Watch:
    """Expires attempts for one loop, and spares them while it cannot know.

    A machine that slept, a clock that was stepped, a service that was stopped or paused, a database that was
    away: each ends every lease at once, although all runners may be well. So at the first look, at the first
    after one that the database did not answer, and at one that comes more than half a lease late, every
    claimed attempt gets one more lease to be heard from. A loop whose looks are all late is slow, not
    asleep: the first of them gives that lease, the next ones do not renew it.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._looked: datetime | None = None
        self._late = False
        self._since = context.clock()

    def expire(self, living: Collection[str] = ()) -> list[str]:
        """Lose every attempt whose lease is over, and return the ids of runs that changed.

        Args:
            living: attempts whose runner's process the caller sees living.
        """
        now, lease = self._context.clock(), self._context.lease
        late = self._looked is not None and now - self._looked > lease / 2 + _LATE
        if self._looked is None or (late and not self._late):
            self._since = now
        self._late = late
        seen = True
        try:
            return lifecycle.expire(self._context, spare_claimed=now < self._since + lease, living=living)
        except Unavailable:
            seen = False  # nor could a heartbeat be written
            raise
        finally:
            # The end of this look, not its beginning: what it did may itself have taken long.
            self._looked = self._context.clock() if seen else None
