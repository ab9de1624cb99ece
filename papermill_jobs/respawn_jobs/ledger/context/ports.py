"""What a ledger asks of those around it: which channels there are, and who counts what happens.

An embedded store has neither: it knows no channel, and nobody counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from respawn_jobs.errors import InvalidInput


class ChannelRules(Protocol):
    """The channels that an administrator has defined, as far as the ledger must know them."""

    def check(self, names: Sequence[str], namespace: str) -> None:
        """Raise `InvalidInput` when a name is unknown, or its channel is not for this namespace."""

    def group_seconds(self, name: str) -> float:
        """Return for how long further failures of a job are collected before the channel is notified."""

    def administrators(self) -> list[str]:
        """Return the channels for those who run the service."""


class NoChannels:
    """The channels of a store without a service: none."""

    def check(self, names: Sequence[str], namespace: str) -> None:
        """Raise `InvalidInput` for any name: only a service tells people."""
        if names:
            raise InvalidInput(
                f"there is no channel {names[0]!r}: this store has no service that could tell anybody. "
                "Leave `notify` empty, or promote to a hub whose administrator has defined channels",
                channel=names[0],
            )

    def group_seconds(self, name: str) -> float:
        """Return zero: nothing is sent."""
        return 0.0

    def administrators(self) -> list[str]:
        """Return none."""
        return []


class Observer(Protocol):
    """Counts what happens; each call is quick and raises nothing."""

    def started(self, queue: str, seconds: float) -> None:
        """A runner took the first attempt of a run, so long after it was due or asked for."""

    def checkpointed(self, seconds: float, size: int) -> None:
        """A checkpoint was committed: how long the kernel waited, and the bytes that were new."""

    def kernel_started(self, *, warm: bool) -> None:
        """The kernel of an attempt that ended was a warm one, or was started plainly."""

    def attempt_ended(self, state: str, cause: str | None) -> None:
        """An attempt ended; the cause says why when it was without success."""

    def run_ended(self, state: str) -> None:
        """A run reached a final state."""

    def notice_tried(self, kind: str, *, sent: bool) -> None:
        """A notice was handed to a channel, or the channel refused it."""


class Unobserved:
    """Counts nothing."""

    def started(self, queue: str, seconds: float) -> None:
        """Do nothing."""

    def checkpointed(self, seconds: float, size: int) -> None:
        """Do nothing."""

    def kernel_started(self, *, warm: bool) -> None:
        """Do nothing."""

    def attempt_ended(self, state: str, cause: str | None) -> None:
        """Do nothing."""

    def run_ended(self, state: str) -> None:
        """Do nothing."""

    def notice_tried(self, kind: str, *, sent: bool) -> None:
        """Do nothing."""
