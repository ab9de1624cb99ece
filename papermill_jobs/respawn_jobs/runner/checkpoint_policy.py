"""When a checkpoint is stored for good while all goes well, for the death of the whole machine.

A state that is only held costs next to nothing; storing it costs the time of a processor. So checkpoints are
spaced to cost at most a share of the run, and follow what is dear to repeat, or must not be repeated, always.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

from respawn_jobs.notebook.document import TAG_CHECKPOINT, TAG_NO_CHECKPOINT, TAG_ONCE

DEFAULT_SHARE = 0.03
EXPENSIVE_SECONDS = 60.0
_BYTES_PER_SECOND = 400e6
_MIN_SECONDS = 0.05


class CheckpointMode(Enum):
    """What is to happen to the state after a cell."""

    NEVER = "never"
    """It is not kept, whatever happens."""
    HOLD = "hold"
    """It is held, and stored only if the next cell fails."""
    STORE = "store"
    """It is stored while the next cell runs."""
    WAIT = "wait"
    """It is stored before the next cell starts."""


class Policy:
    """Decides after each cell, by the measured cost of storing."""

    def __init__(
        self, share: float = DEFAULT_SHARE, *, started: float, expensive: float = EXPENSIVE_SECONDS
    ) -> None:
        """Begin.

        Args:
            share: what checkpoints may cost of the run, from 0 to 1; with 1 each is stored, and waited for.
            started: when the run began, on the clock that `wish` is asked by.
            expensive: seconds from which on a cell is always followed by a checkpoint.
        """
        self._share = share
        self._started = started
        self._expensive = expensive
        self._spent = 0.0
        self._last: float | None = None

    def mode_of(
        self, tags: Sequence[str], seconds: float, now: float, size: int | None = None
    ) -> CheckpointMode:
        """Decide what happens to the state after a cell.

        Args:
            tags: the cell's.
            seconds: how long it ran.
            now: the time.
            size: bytes of the state; None while nobody knows, and then the share is no reason to store it.
        """
        if TAG_NO_CHECKPOINT in tags:
            return CheckpointMode.NEVER
        if self._share >= 1 or TAG_ONCE in tags or TAG_CHECKPOINT in tags:
            return CheckpointMode.WAIT
        if seconds >= self._expensive:
            return CheckpointMode.STORE
        if size is None and self._last is None:
            return CheckpointMode.HOLD
        return CheckpointMode.STORE if self.seconds_to_wait(now, size) <= 0 else CheckpointMode.HOLD

    def seconds_to_wait(self, now: float, size: int | None) -> float:
        """Return in how many seconds a checkpoint may be stored, should the next cell take so long."""
        if self._share == 0:
            return math.inf
        return self._started + (self._spent + self._estimate(size)) / self._share - now

    def begun(self, size: int | None) -> float:
        """Note that a checkpoint is being stored: from now on counts what it may cost.

        Args:
            size: bytes of the state, when known.

        Returns:
            What it may cost, for `paid`.
        """
        expected = self._estimate(size)
        self._spent += expected
        return expected

    def paid(self, seconds: float, expected: float = 0.0) -> None:
        """Note what storing a checkpoint took.

        Args:
            seconds: of the processor's time or the kernel's; 0 when nothing was stored, which tells
                nothing of what the next one costs.
            expected: what `begun` returned for it; 0 where it was not called.
        """
        self._spent += seconds - expected
        if seconds > 0:
            self._last = seconds

    def _estimate(self, size: int | None) -> float:
        """Return what the next one may cost: as much as the last, or else all its bytes."""
        if self._last is not None:
            return self._last
        return _MIN_SECONDS + (size or 0) / _BYTES_PER_SECOND
