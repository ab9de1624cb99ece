"""The kernels of one runner that have come up for its next attempts: as many as are foreseen, within bounds.

The service tells an idle runner which kernels the runs will want that wait or are due within seconds. The
runner has them come up one after the other, each of its own environment and build. An attempt takes the one
that it asks for once it knows what it will run; the others wait on for the attempts after it. Where nothing
is foreseen, one of the kind that was used last waits. How many there are at most, and how much memory they
may have together, are settings of the service. One that nobody takes is ended when its time is over, also
while the runner is at work.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from respawn_environments.warm.warm_kernels import warm_kernels
from respawn_jobs.host import process_tree
from respawn_jobs.host.process_environment import (
    READY_KERNELS,
    READY_MEMORY,
    USUAL_READY_KERNELS,
    USUAL_READY_MEMORY,
)
from respawn_jobs.model.kernels import WantedKernel
from respawn_jobs.runner.kernel.kernel_process import KernelFailed, KernelProcess
from respawn_jobs.runner.kernel.ready_kernel import NotYet, ReadyKernel
from respawn_kernels.sizes import how_large, parse_size

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_USED_SECONDS = 120.0
"""How long a kernel of the kind that was used last waits for an attempt that does not come."""
_FORESEEN_SECONDS = 30.0
"""How long one waits that was foreseen: the run may have been cancelled, or another runner has it."""


@dataclass(frozen=True)
class Bounds:
    """What the kernels that wait in one runner may be together."""

    number: int = USUAL_READY_KERNELS
    memory: int = USUAL_READY_MEMORY
    """Bytes, in which what they share with each other and with their zygote counts once."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Bounds:
        """Read the settings.

        Args:
            environ: The variables of the process.

        Raises:
            ValueError: One of them cannot be read; the message names it.
        """
        number = environ.get(READY_KERNELS, str(USUAL_READY_KERNELS)).strip()
        if not number.isascii() or not number.isdigit() or len(number) > 3:
            raise ValueError(f"{READY_KERNELS} is a number of kernels, not {environ[READY_KERNELS]!r}")
        try:
            return cls(int(number), parse_size(environ.get(READY_MEMORY, str(USUAL_READY_MEMORY))))
        except ValueError as error:
            raise ValueError(f"{READY_MEMORY}: {error}") from error


class ReadyKernels:
    """The kernels that wait in a runner; to one attempt they are the one that it takes (`KernelAhead`)."""

    def __init__(
        self,
        bounds: Bounds | None = None,
        *,
        start: Callable[[str, str | None], ReadyKernel] = ReadyKernel,
        prepare: Callable[[], None] = warm_kernels.prepare,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with none.

        Args:
            bounds: How many there are at most, and how large; None for what is usual.
            start: Has one come up, by its name and the hash of its build.
            prepare: Starts the zygotes that are wanted.
            monotonic: A clock of seconds.
        """
        self._bounds = bounds or Bounds()
        self._start = start
        self._prepare = prepare
        self._monotonic = monotonic
        self._waiting: list[_Waiting] = []
        self._foreseen: list[tuple[WantedKernel, float]] = []
        """What runs will want, in their order, each with the time until which."""
        self._used: tuple[WantedKernel, float] | None = None
        """What the last attempt used, and until when one more of it is wanted."""
        self._taken: ReadyKernel | None = None

    def foresee(self, wanted: Sequence[WantedKernel]) -> None:
        """Say which kernels the next attempts will want, in place of what was foreseen before.

        Args:
            wanted: One for each attempt, in their order; empty where nothing is known but that one comes.
        """
        until = self._monotonic() + _FORESEEN_SECONDS
        self._foreseen = [(one, until) for one in wanted]
        if self._used is not None:
            self.used(self._used[0])

    def used(self, kernel: WantedKernel | None) -> None:
        """Say which kernel the last attempt used; the next one will want such a one, if nothing is foreseen.

        Args:
            kernel: The kernel; None where there was none.
        """
        self._used = None if kernel is None else (kernel, self._monotonic() + _USED_SECONDS)

    def tend(self) -> float | None:
        """End what nobody wants any more, and have one kernel come up that is wanted.

        Returns:
            The seconds after which this has something to do again; None for never.
        """
        now = self._monotonic()
        self._drop(lambda one: one.over(now))
        wanted = self._wanted(now)
        missing = _missing(wanted, [one.kernel for one in self._waiting])
        if missing is None or not self._room_for(wanted):
            return min((max(one.until - now, 0.0) for one in self._waiting), default=None)
        until = next((until for one, until in self._foreseen if one == missing), None)
        foreseen = until is not None
        if until is None:
            assert self._used is not None  # noqa: S101  else nothing would be wanted
            until = self._used[1]
        try:
            self._waiting.append(_Waiting(missing, self._start(*missing), until, foreseen, self._monotonic))
        except NotYet:
            self._prepare()  # the last kernel had other variables perhaps, a resume's hash seed say
            return _LOOK_SECONDS
        except KernelFailed as error:
            log.info("no kernel %s is ready for the next attempt: %s", missing.name, error)
            self._forget(missing)
        return 0.0

    def _wanted(self, now: float) -> list[WantedKernel]:
        """Return what is to wait, in the order in which it is needed."""
        self._foreseen = [one for one in self._foreseen if one[1] > now]
        if self._foreseen:
            return [one for one, _ in self._foreseen][: self._bounds.number]
        if self._used is not None and self._used[1] > now:
            return [self._used[0]][: self._bounds.number]
        return []

    def _room_for(self, wanted: list[WantedKernel]) -> bool:
        """Return whether one more may come up; one that is not wanted makes room for it."""
        while True:
            if len(self._waiting) < self._bounds.number and self._memory_left():
                return True
            surplus = list(wanted)
            for one in self._waiting:
                if one.kernel not in surplus:
                    break
                surplus.remove(one.kernel)
            else:
                return False
            self._waiting.remove(one)
            one.end()

    def _memory_left(self) -> bool:
        sizes = [one.bytes for one in self._waiting]
        left = sum(sizes) + max(sizes, default=0) <= self._bounds.memory
        if not left:
            log.info("no more kernels wait: those that do have %s", how_large(sum(sizes)))
        return left

    def _forget(self, kernel: WantedKernel) -> None:
        self._foreseen = [one for one in self._foreseen if one[0] != kernel]
        if self._used is not None and self._used[0] == kernel:
            self._used = None

    def _drop(self, which: Callable[[_Waiting], bool]) -> None:
        for one in [one for one in self._waiting if which(one)]:
            self._waiting.remove(one)
            one.end()

    # What an attempt asks for: see `KernelAhead`.

    @property
    def runner(self) -> asyncio.Runner:
        """The event loop of the kernel that serves."""
        assert self._taken is not None  # noqa: S101  asked only once one serves
        return self._taken.runner

    def serves(self, name: str, directory: Path | None, lock: str | None) -> bool:
        """Find the kernel that an attempt without a state asks for, and move it to where the attempt works.

        Args:
            name: The kernel's name.
            directory: Where the attempt works; None for the runner's own directory.
            lock: Hash of the build that its version pins; None for a kernel that is of no lock.
        """
        self._note_use(name, lock)
        for one in [one for one in self._waiting if (one.ready.name, one.ready.lock) == (name, lock)]:
            self._waiting.remove(one)
            if one.keep() and one.ready.serves(name, directory, lock):
                self._taken = one.ready
                return True
            one.ready.close()  # a package or its kernelspec has changed, or it is gone
        return False

    def take(self) -> KernelProcess:
        """Hand over the kernel that serves; `close` then leaves it alone."""
        assert self._taken is not None  # noqa: S101  asked only once one serves
        self._drop(lambda one: not one.foreseen)
        return self._taken.take()

    def close(self) -> None:
        """Let go of the kernel that was taken, and end those that nothing foresaw."""
        taken, self._taken = self._taken, None
        self._drop(lambda one: not one.foreseen)
        if taken is not None:
            taken.close()

    def end(self) -> None:
        """End them all."""
        self.close()
        self._drop(lambda _one: True)

    def _note_use(self, name: str, lock: str | None) -> None:
        for at, (one, _) in enumerate(self._foreseen):
            if one.name == name and one.lock in (lock, None):
                del self._foreseen[at]
                return


class _Waiting:
    """A kernel that waits, and ends when its time is over, whatever its runner does meanwhile."""

    def __init__(
        self,
        kernel: WantedKernel,
        ready: ReadyKernel,
        until: float,
        foreseen: bool,
        monotonic: Callable[[], float],
    ) -> None:
        self.kernel = kernel
        self.ready = ready
        self.until = until
        self.foreseen = foreseen
        memory = process_tree.memory(ready.pid) if ready.pid is not None else None
        self.bytes = memory.total if memory is not None else 0
        self._lock = threading.Lock()
        self._kept = False
        self._timer = threading.Timer(max(until - monotonic(), 0.0), self._time_is_over)
        self._timer.daemon = True
        self._timer.start()

    def over(self, now: float) -> bool:
        """Return whether its time is over, or it has ended."""
        return now >= self.until or not self.ready.runs

    def keep(self) -> bool:
        """Stop its time; tells whether it still runs."""
        with self._lock:
            self._kept = True
        self._timer.cancel()
        return self.ready.runs

    def end(self) -> None:
        """End it."""
        self.keep()
        self.ready.close()

    def _time_is_over(self) -> None:
        with self._lock:
            if not self._kept:
                self.ready.kill()


def _missing(wanted: Sequence[WantedKernel], there: Sequence[WantedKernel]) -> WantedKernel | None:
    """Return the first that is wanted and not there."""
    left = list(there)
    for one in wanted:
        if one not in left:
            return one
        left.remove(one)
    return None


def bounds_of_this_process() -> Bounds:
    """Return what the variables of this process say; what cannot be read is as if it were not said."""
    try:
        return Bounds.of(os.environ)
    except ValueError as error:
        usual = Bounds()
        log.warning("%s: %d kernels and %s are allowed", error, usual.number, how_large(usual.memory))
        return usual
