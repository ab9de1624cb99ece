"""The runner's hand on a held child: the process in which the state before a cell sleeps.

The kernel forks it as an orphan, and the runner adopts it (see `adopting`): so nothing in the notebook sees
it, and its end is the runner's to see.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from respawn_kernels.held import SAVE, Held, Place, Report, process_name

_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37
_END_SECONDS = 10.0


class HeldChild:
    """One held child, from its fork to its end."""

    def __init__(self, place: Place, held: Held) -> None:
        """Take hold of it.

        Raises:
            ProcessLookupError: it is gone without a trace.
        """
        assert held.pid is not None  # noqa: S101  told by the caller
        self.cell = place.cell
        self.held = held
        self.asked = False
        """Whether it was told to save the state."""
        self._place = place
        self._pid = held.pid
        self._pidfd = os.pidfd_open(held.pid)
        self._status: int | None = None
        self._gone = False
        self._over = asyncio.Event()
        self._waiting = 0
        self._why: str | None = None

    @property
    def manifest(self) -> Path:
        """Where the checkpoint's manifest is once it is saved."""
        return self._place.manifest

    def save(self) -> None:
        """Tell it to save the state; it may be doing so already. One that cannot be told is ended."""
        self.asked = True
        if not self._place.tell(SAVE) and not self.ended:
            self._why = "the spool is gone"
            self.kill()

    @property
    def ended(self) -> bool:
        """Whether the process is gone; it is reaped by asking."""
        if not self._gone:
            try:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:  # not ours: somebody else adopted it, or reaps for us
                self._gone = not _alive(self._pidfd)
            else:
                self._gone, self._status = pid != 0, status
            if self._gone:
                self._over.set()
                self._close_unless_waited()
        return self._gone

    async def wait(self, seconds: float) -> Report:
        """Wait for its end, for so long; then it is killed. Returns how it ended."""
        if not await self._end_within(seconds):
            self.kill()
            await self._end_within(_END_SECONDS)
            return self._place.read_report() or Report("failed", f"it was not saved within {seconds:g} s")
        return self.report()

    def report(self) -> Report:
        """Return how it ended, once it did."""
        told = self._place.read_report()
        if told is not None:
            return told
        if self._why is not None:
            return Report("failed", self._why)
        if self._status is None:
            return Report("failed", "the process that held it ended without a word")
        code = os.waitstatus_to_exitcode(self._status)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        return Report("failed", f"the process that held it {how}")

    def kill(self) -> None:
        """End it at once; `ended` or `wait` reap it."""
        if not self.ended:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def _end_within(self, seconds: float) -> bool:
        if self.ended:
            return True
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.add_reader(self._pidfd, lambda: self.ended)
        self._waiting += 1
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return self.ended
        finally:
            self._waiting -= 1
            if not self._waiting:
                loop.remove_reader(self._pidfd)
                if self._gone:
                    self._close_unless_waited()
        return True

    def _close_unless_waited(self) -> None:
        # A loop never hears of a descriptor that was closed, and the next one may have its number.
        if not self._waiting:
            os.close(self._pidfd)


class _Adopting:
    # Whether this process adopts orphans, counted over the attempts that it executes at a time.

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._before = 0

    def change(self, by: int) -> None:
        if sys.platform != "linux":
            return
        prctl = ctypes.CDLL(None).prctl
        with self._lock:
            if self._count == 0:
                before = ctypes.c_int(0)
                prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
                self._before = before.value
            self._count += by
            prctl(_PR_SET_CHILD_SUBREAPER, 1 if self._count else self._before, 0, 0, 0)


_adopting = _Adopting()


@contextmanager
def adopting() -> Iterator[None]:
    """Let this process adopt the orphans of its kernels meanwhile."""
    _adopting.change(1)
    try:
        yield
    finally:
        _adopting.change(-1)


def end_all(spool: Path) -> None:
    """End and reap every held child and writer of a spool that this process adopted, known or not.

    A kernel that is killed just when it forked cannot say so any more.
    """
    name = process_name(spool)
    for _ in range(100):  # a writer passes to us only when the child that started it is gone
        found = [pid for pid in children() if _name(pid) == name]
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def children() -> list[int]:
    """Return the processes whose parent this one is, zombies too."""
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread ended
            found += map(int, task.read_text().split())
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return ""


def _alive(pidfd: int) -> bool:
    """Tell whether a process runs; one that is a zombie of somebody else does not."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return not poller.poll(0)
