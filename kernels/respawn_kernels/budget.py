"""How much memory a held child may cost, watched while a cell runs.

What counts is the proportional set size of kernel, child and writer together: a page that they share counts
once, one that the cell rewrites counts twice from then on. Telling it exactly means walking all pages, so it
is done only when page faults and growth say that it may matter. Nothing here touches the kernel.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable
from enum import IntEnum

from respawn_kernels.held import MEGABYTE
from respawn_kernels.originals import getpid, monotonic, open_file
from respawn_kernels.safety import available_bytes

_PAGE = resource.getpagesize()
_SOFT, _HARD = 0.6, 0.85
"""Shares of the room at which the child saves itself, and at which it is gone at once."""
_LONGEST, _SHORTEST = 0.1, 0.004
_MEASURING = 20
"""A measurement may cost a twentieth of the time between two, while nothing is urgent."""
_LEAST_FREE = 48 * MEGABYTE
_FIRST_LOOK = 0.05


class Verdict(IntEnum):
    """What a look at the memory found."""

    FINE = 0
    SAVE = 1
    """The child should save itself and leave."""
    LEAVE = 2
    """It must leave at once."""


class Budget:
    """The watch on kernel, child and writer."""

    def __init__(self, kernel: int, limit: int | None, *, monotonic: Callable[[], float] = monotonic) -> None:
        """Begin to watch, in the child.

        Args:
            kernel: the kernel's process.
            limit: bytes that all may take; None for what the kernel takes now and half of what is free.
            monotonic: the clock.
        """
        self.peak = 0
        self.reason = ""
        self.wait = _FIRST_LOOK
        """Seconds until the next look is due."""
        self._kernel = kernel
        self._limit = limit
        self._monotonic = monotonic
        self._start: int | None = None
        self._measured = self._faults = self._grown = 0
        self._estimate = 0
        self._looked = monotonic()
        self._may_measure = 0.0

    @property
    def limit(self) -> int | None:
        """Bytes that all may take, once that is known."""
        return self._limit

    def look(self, writer: int | None = None) -> Verdict:
        """Tell whether the child may stay.

        Args:
            writer: the process that writes the state, when there is one.
        """
        processes = [self._kernel, getpid(), *([writer] if writer else [])]
        if self._start is None:
            self._begin(processes)
        estimate = self._measured + self._change(processes)
        now = self._monotonic()
        soft, hard = self._threshold(_SOFT), self._threshold(_HARD)
        if estimate >= soft and (estimate >= hard or now >= self._may_measure):
            estimate = self.measure(processes)
        self._pace(estimate, hard, now)
        if (free := available_bytes()) < _LEAST_FREE:
            self.reason = f"only {free // MEGABYTE} MB of memory were free"
            return Verdict.LEAVE
        if estimate < soft:
            return Verdict.FINE
        self.reason = (
            f"kernel and snapshot took {estimate // MEGABYTE} MB together, "
            f"of {(self._limit or 0) // MEGABYTE} MB that they may"
        )
        return Verdict.LEAVE if estimate >= hard else Verdict.SAVE

    def measure(self, processes: Iterable[int]) -> int:
        """Return what the processes take together, exactly."""
        processes = list(processes)
        started = self._monotonic()
        self._measured = sum(map(proportional_bytes, processes))
        self._faults, self._grown = _faults(processes), _resident(self._kernel)
        self._may_measure = started + _MEASURING * (self._monotonic() - started)
        self.peak = max(self.peak, self._measured)
        return self._measured

    def _begin(self, processes: list[int]) -> None:
        self._start = self.measure(processes)
        if self._limit is None:
            self._limit = self._start + available_bytes() // 2

    def _threshold(self, share: float) -> int:
        start, limit = self._start or 0, self._limit or 0
        return int(start + share * (limit - start)) if limit > start else limit

    def _change(self, processes: list[int]) -> int:
        """Return the most by which memory can have grown since it was measured.

        A fault brings a page, by copying it or anew; huge pages show in the kernel's own size.
        """
        faults = max(0, _faults(processes) - self._faults)
        return faults * _PAGE + max(0, _resident(self._kernel) - self._grown)

    def _pace(self, estimate: int, hard: int, now: float) -> None:
        """Look again in good time before the hard threshold can be reached."""
        seconds = max(now - self._looked, 1e-3)
        rate = max(0, estimate - self._estimate) / seconds
        left = (hard - estimate) / rate / 4 if rate else _LONGEST
        self.wait = min(_LONGEST, max(_SHORTEST, left))
        self._estimate, self._looked = estimate, now


def proportional_bytes(pid: int) -> int:
    """Return a process's proportional set size; 0 when it is gone."""
    try:
        with open_file(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _faults(processes: Iterable[int]) -> int:
    return sum(map(_faults_of, processes))


def _faults_of(pid: int) -> int:
    try:
        with open_file(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[7])
    except (OSError, IndexError):
        return 0


def _resident(pid: int) -> int:
    try:
        with open_file(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
