"""Keeps the head of the audit trail elsewhere, each time that it has moved on."""

from __future__ import annotations

import time
from collections.abc import Callable

from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.audit.head_places import AuditHeadStore
from respawn_jobs.ledger.context.audit_anchor import Head


class Heads:
    """Sends heads; what cannot be sent is sent again, and health names this loop meanwhile.

    Args:
        ledger: the store's use cases, which sign the head.
        place: where heads are kept.
        every_seconds: seconds between two looks at whether the trail has grown.
        monotonic: a clock of seconds that is never set back.
    """

    def __init__(
        self,
        ledger: Ledger,
        place: AuditHeadStore,
        *,
        every_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._place = place
        self._every = every_seconds
        self._now = monotonic
        self._next = float("-inf")
        self._sent: Head | None = None

    def tick(self) -> float:
        """Send the head, unless it was sent or that was done lately. Returns the seconds to rest.

        Raises `Unavailable` when it is not kept.
        """
        now = self._now()
        if now < self._next:
            return self._next - now
        head = self._ledger.signed_head()
        if head is not None and head.head != self._sent:
            self._place.keep(head)
            self._sent = head.head
        self._next = self._now() + self._every
        return self._every
