"""The runner's hand on a held child: the process in which the state before a cell sleeps.

The kernel forks it as an orphan, and the runner adopts it (see `warm.adoption`): so nothing in the notebook
sees it, and its end is the runner's to see.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from respawn_jobs.host.process_tree import children_of
from respawn_kernels.exchange.messages import SAVE, Held, HeldChildFiles, HoldReport, process_name
from respawn_kernels.process_ends import how_it_ended

_END_SECONDS = 10.0


class HeldChild:
    """One held child, from its fork to its end."""

    def __init__(self, place: HeldChildFiles, held: Held) -> None:
        """Take hold of it.

        Raises:
            ProcessLookupError: it is gone without a trace.
        """
        assert held.pid is not None  # noqa: S101  checked by the caller
        self.cell = place.cell
        self.held = held
        self.asked = False
        """Whether it was asked to save the state."""
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
        """Ask it to save the state; it may be doing so already. A child that cannot be asked is ended."""
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

    async def wait(self, seconds: float) -> HoldReport:
        """Wait for its end, for so long; then it is killed. Returns how it ended."""
        if not await self._end_within(seconds):
            self.kill()
            await self._end_within(_END_SECONDS)
            return self._place.read_report() or HoldReport("failed", f"it was not saved within {seconds:g} s")
        return self.report()

    def report(self) -> HoldReport:
        """Return how it ended, once it did."""
        report = self._place.read_report()
        if report is not None:
            return report
        if self._why is not None:
            return HoldReport("failed", self._why)
        if self._status is None:
            return HoldReport("failed", "the process that held it ended without a word")
        code = os.waitstatus_to_exitcode(self._status)
        return HoldReport("failed", f"the process that held it {how_it_ended(code)}")

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


def end_all(spool: Path) -> None:
    """End and reap every held child and writer of a spool that this process adopted, known or not.

    A kernel that is killed just when it forked cannot say so any more.
    """
    name = process_name(spool)
    for _ in range(100):  # a writer passes to us only when the child that started it is gone
        found = [pid for pid in children_of(os.getpid()) if _name(pid) == name]
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return ""


def _alive(pidfd: int) -> bool:
    """Return whether a process runs; one that is a zombie of somebody else does not."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return not poller.poll(0)
