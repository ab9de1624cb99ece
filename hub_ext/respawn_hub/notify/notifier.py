"""Notifies people: writes the notices of ended runs and missed deadlines, and sends them.

Writing and sending are loops of their own, so that a channel which is slow or down delays no record.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from respawn_hub.notify.channels import Channels
from respawn_hub.notify.messages import Link, rendered
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger.operations.notice_ops import Operations
from respawn_jobs.logs import about
from respawn_jobs.model.notices import Message

logger = logging.getLogger(__name__)
_REST = 1.0
_MAX_REST = 30.0
_AT_ONCE = 4
"""Channels that are sent to at the same time."""


class NoticeCollector:
    """Writes notices of runs that have ended."""

    def __init__(self, ledger: Operations) -> None:
        self._ledger = ledger

    def tick(self) -> float:
        """Write what there is to tell. Returns the seconds to rest."""
        return 0.0 if self._ledger.collect() else _REST


class DeadlineNotifier:
    """Writes notices of deadlines that passed."""

    def __init__(self, ledger: Operations, *, clock: Clock = utc_now) -> None:
        self._ledger = ledger
        self._clock = clock

    def tick(self) -> float:
        """Look at the deadlines that have passed. Returns the seconds until the next one, at most thirty."""
        self._ledger.check_deadlines()
        due = self._ledger.next_deadline()
        if due is None:
            return _MAX_REST
        return min(_MAX_REST, max(_REST, (due - self._clock()).total_seconds()))


class Notifier:
    """Sends notices through their channels.

    Args:
        ledger: holds the notices, and hands out one message to one sender.
        channels: the channels that the administrator defined.
        link: makes the address of one of our pages from its path below the service's prefix.
    """

    def __init__(self, ledger: Operations, channels: Channels, link: Link) -> None:
        self._ledger = ledger
        self._channels = channels
        self._link = link

    def tick(self) -> float:
        """Send what is due, one message to each of a few channels. Returns the seconds to rest."""
        messages: list[Message] = []
        while len(messages) < _AT_ONCE:
            message = self._ledger.claim({other.channel for other in messages})
            if message is None:
                break
            messages.append(message)
        if not messages:
            return _REST
        with ThreadPoolExecutor(len(messages), "respawn-notifier") as threads:
            list(threads.map(self._send, messages))
        return 0.0

    def _send(self, message: Message) -> None:
        with about(job=message.job, run=message.items[0].run if len(message.items) == 1 else None):
            try:
                self._deliver(message)
            except Exception:  # one message must not keep the others from being sent; its claim ends
                logger.exception("a notice could not be sent to %s; it is tried again", message.channel)

    def _deliver(self, message: Message) -> None:
        try:
            if message.kind != "suspended":  # that is for administrators, whosever the namespace was
                self._channels.check([message.channel], message.namespace)
        except InvalidInput as error:  # the administrator changed the channels since
            self._ledger.refused(message, error.message)
            return
        title, body = rendered(message, self._link)
        result = self._channels.send(message.channel, title, body, kind=message.kind, skip=message.delivered)
        if result.problems:
            reason = "; ".join(result.problems)
            logger.warning("the channel %s refused a notice: %s", message.channel, reason)
            self._ledger.refused(message, reason, result.delivered)
            return
        self._ledger.sent(message)
        logger.info("notified %s: %s of %s", message.channel, message.kind, message.job)
