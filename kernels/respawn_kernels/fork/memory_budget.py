"""How much memory a held child may cost, watched while a cell runs.

What counts is the proportional set size (PSS, proc(5)) of kernel, child and writer together: a page that they
share counts once, one that the cell rewrites counts twice from then on. Measuring it means that the system
walks all pages, so it is done only when page faults and growth show that it may matter: where nobody set a
limit, the child of a short cell measures nothing. Nothing here touches the kernel.

A kernel with a limit of its own is ended there, by its runner or its control group, and then gives all of its
memory back. So its growth is no reason for the child to leave, as long as the machine has room for both: the
child saves itself on the way, and stays.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable
from enum import IntEnum

from respawn_kernels.exchange.messages import MEBIBYTE
from respawn_kernels.fork.fork_safety import available_bytes
from respawn_kernels.originals import getpid, monotonic, open_file
from respawn_kernels.sizes import how_large

_PAGE = resource.getpagesize()
_SOFT, _HARD = 0.6, 0.85
"""Shares of the room at which the child saves itself, and at which it leaves without saving."""
_LONGEST, _SHORTEST = 0.1, 0.004
"""Seconds between two looks."""
_NOTICED = 0.1
"""The share of the room up to which page faults and growth alone are looked at, where nobody set a limit."""
_MEASURING = 20
"""A measurement may cost a twentieth of the time between two, while nothing is urgent."""
_MIN_FREE = 48 * MEBIBYTE
_FIRST_POLL = 0.05
_FREE_SHARE = 0.9
"""What of the free memory a kernel may be let grow into, where it has a limit."""


class MemoryState(IntEnum):
    """What a held child has to do after a look at the memory."""

    FINE = 0
    SAVE = 1
    """The child should save itself and leave."""
    LEAVE = 2
    """It must leave at once."""


class Budget:
    """The watch on kernel, child and writer."""

    def __init__(
        self,
        kernel: int,
        limit: int | None,
        *,
        kernel_limit: int | None = None,
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        """Begin to watch, in the child.

        Args:
            kernel: process id of the kernel.
            limit: bytes that all may take; None for what the kernel takes now and half of what is free.
            kernel_limit: bytes at which the kernel is ended; None for no limit of its own.
            monotonic: returns seconds of a clock that never goes back.
        """
        self.peak = 0
        self.reason = ""
        self.wait = _FIRST_POLL
        """Seconds until the next look is due."""
        self._kernel = kernel
        self._limit = limit
        self._kernel_limit = kernel_limit
        self._kernel_start = 0
        self._monotonic = monotonic
        self._start: int | None = None
        self._room: int | None = None
        """What all may take more than at the first look, where nobody set a limit."""
        self._measured = self._faults = self._grown = 0
        self._estimate = 0
        self._looked = monotonic()
        self._may_measure = 0.0

    @property
    def limit(self) -> int | None:
        """Bytes that all may take, once that is known."""
        return self._limit

    def look(self, writer: int | None = None) -> MemoryState:
        """Return whether the child may stay.

        Args:
            writer: process id of the process that writes the state, when there is one.
        """
        processes = [self._kernel, getpid(), *([writer] if writer else [])]
        now = self._monotonic()
        if self._start is None and self._is_unnoticed(processes, now):
            if (free := available_bytes()) < _MIN_FREE:
                return self._leave_for(free)
            return MemoryState.FINE
        if self._start is None:
            self._begin(processes)
        estimate = self._measured + self._change(processes)
        soft, hard = self._threshold(_SOFT), self._threshold(_HARD)
        if estimate >= soft and (estimate >= hard or now >= self._may_measure):
            estimate = self.measure(processes)
        resident = _resident(self._kernel)
        self._pace(estimate, hard, now, (self._kernel_limit - resident) if self._kernel_limit else None)
        if (free := available_bytes()) < _MIN_FREE:
            return self._leave_for(free)
        if self._kernel_limit is not None and estimate < hard and resident >= self._kernel_threshold():
            self.reason = (
                f"the kernel took {how_large(resident)}, of {how_large(self._kernel_limit)} that it may"
            )
            return MemoryState.SAVE
        if estimate < soft:
            return MemoryState.FINE
        self.reason = (
            f"kernel and snapshot took {how_large(estimate)} together, "
            f"of {how_large(self._limit or 0)} that they may"
        )
        return MemoryState.LEAVE if estimate >= hard else MemoryState.SAVE

    def measure(self, processes: Iterable[int]) -> int:
        """Return the bytes that processes take together, exactly.

        Args:
            processes: their ids; one that has ended counts nothing.
        """
        processes = list(processes)
        started = self._monotonic()
        self._measured = sum(map(proportional_bytes, processes))
        self._faults, self._grown = _faults(processes), _resident(self._kernel)
        self._may_measure = started + _MEASURING * (self._monotonic() - started)
        self.peak = max(self.peak, self._measured)
        return self._measured

    def _leave_for(self, free: int) -> MemoryState:
        self.reason = f"only {how_large(free)} of memory were free"
        return MemoryState.LEAVE

    def _is_unnoticed(self, processes: list[int], now: float) -> bool:
        """Return whether memory has grown so little that it need not be measured; with a limit it must be."""
        if self._limit is not None or self._kernel_limit is not None:
            return False
        if self._room is None:
            self._room = available_bytes() // 2
            self._faults, self._grown = _faults(processes), _resident(self._kernel)
        change, most = self._change(processes), int(_NOTICED * self._room)
        self._pace(change, most, now, None)
        return change < most

    def _begin(self, processes: list[int]) -> None:
        faulted, grown = self._changes(processes) if self._room is not None else (0, 0)
        # A page that is new counts in both.
        self._start = max(0, self.measure(processes) - max(faulted, grown))
        self._kernel_start = _resident(self._kernel)
        if self._limit is None:
            free = available_bytes()
            room = free // 2 if self._room is None else self._room
            if self._kernel_limit is not None:
                # The most that can come: the kernel up to its limit, with every page copied that it had.
                most = int(max(self._kernel_limit, self._kernel_start) / _HARD) + 1
                room = max(room, most if most < _FREE_SHARE * free else 0)
            self._limit = self._start + room

    def _kernel_threshold(self) -> int:
        """Return the size of the kernel at which the child saves itself, well before the kernel's limit."""
        start, limit = self._kernel_start, self._kernel_limit or 0
        return int(start + _SOFT * (limit - start)) if limit > start else start + 1

    def _threshold(self, share: float) -> int:
        start, limit = self._start or 0, self._limit or 0
        return int(start + share * (limit - start)) if limit > start else limit

    def _change(self, processes: list[int]) -> int:
        """Return the most by which memory can have grown since it was measured."""
        return sum(self._changes(processes))

    def _changes(self, processes: list[int]) -> tuple[int, int]:
        """Return the bytes of pages that came since, and by how many the kernel grew.

        A minor fault brings a page, by copying it or anew; huge pages show in the kernel's own size.
        """
        faults = max(0, _faults(processes) - self._faults)
        return faults * _PAGE, max(0, _resident(self._kernel) - self._grown)

    def _pace(self, estimate: int, hard: int, now: float, kernel_left: int | None) -> None:
        """Look again in a quarter of the time in which the present growth would reach a threshold."""
        seconds = max(now - self._looked, 1e-3)
        rate = max(0, estimate - self._estimate) / seconds
        room = hard - estimate if kernel_left is None else min(hard - estimate, kernel_left)
        left = room / rate / 4 if rate else _LONGEST
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
            # minflt of proc(5). The name before it may hold spaces and brackets.
            return int(file.read().rpartition(b")")[2].split()[7])
    except (OSError, IndexError):
        return 0


def _resident(pid: int) -> int:
    try:
        with open_file(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
