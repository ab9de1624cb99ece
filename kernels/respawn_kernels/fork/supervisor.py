"""The held child: it sleeps, keeps the state, and has a writer store it when that is wanted.

It waits for the runner's commands, for the end of the kernel (then it saves) and of the runner (then it
ends), and it watches memory. It never touches the notebook's objects itself: a writer, forked from it, does.
Whatever becomes of the writer, the state is still here.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from respawn_kernels.exchange.messages import DROP, SAVE, HeldChildFiles, HoldReport, Options
from respawn_kernels.fork.memory_budget import Budget, MemoryState
from respawn_kernels.fork.writer import Capture, Page, Phase, write
from respawn_kernels.host.forking import fork
from respawn_kernels.host.own_process import die_with
from respawn_kernels.originals import getpid, monotonic, open_file
from respawn_kernels.process_ends import ending

_GRACE_SECONDS = 5.0
"""What a variable may take beyond its time before the writer is killed, which ends hanging Python itself."""
_IDLE_SECONDS = 2.0
"""A writer that did nothing for so long hangs; one that computes is given ten times the variable's time."""
_WATCH_SECONDS = 0.1
_MAX_LEFT_OUT = 8
"""After more variables than that which cannot be pickled the state is given up: each needs a new writer."""
_MAX_KILLS = 2


@dataclass
class _Writer:
    pid: int
    descriptor: int
    page: Page
    busy: float
    """When it last did something, by the monotonic clock."""
    spent: tuple[int, int] = (0, 0)
    """Clock ticks and bytes, as `_spent` returned them last."""


@dataclass
class Ends:
    """The file descriptors that a held child polls."""

    fifo: int
    kernel: int
    runner: int


@dataclass
class ChildSupervisor:
    """One held child's life."""

    place: HeldChildFiles
    capture: Capture
    options: Options
    budget: Budget
    ends: Ends
    pause: float
    """Seconds that the kernel was kept waiting."""
    _writer: _Writer | None = None
    _why: str | None = None
    _asked: float = 0.0
    _cpu: float = 0.0
    _kills: int = 0
    _leave_out: dict[str, str] = field(default_factory=dict)

    def run(self) -> NoReturn:
        """Run until the state is saved, not wanted any more, or takes too much memory."""
        poller = select.poll()
        for descriptor in (self.ends.fifo, self.ends.kernel, self.ends.runner):
            poller.register(descriptor, select.POLLIN)
        while True:
            if self._writer is not None:
                poller.register(self._writer.descriptor, select.POLLIN)
            ready = {descriptor for descriptor, _ in poller.poll(self._time_limit() * 1000)}
            if self.ends.runner in ready:  # nobody would ever ask for the state
                self._kill_writer()
                os._exit(0)
            if self.ends.fifo in ready:  # before the kernel's end: a command may say that it is not wanted
                self._obey()
            if self.ends.kernel in ready:
                poller.unregister(self.ends.kernel)
                self._save(None)
            if self._writer is not None and self._writer.descriptor in ready:
                poller.unregister(self._writer.descriptor)
                self._writer_ended(self._writer)
            self._watch_memory()
            if self._writer is not None:
                self._watch_writer(self._writer)

    def _time_limit(self) -> float:
        return min(self.budget.wait, _WATCH_SECONDS) if self._writer else self.budget.wait

    def _obey(self) -> None:
        commands = b""
        with suppress(BlockingIOError):
            commands = os.read(self.ends.fifo, 1024)
        # Race: the kernel may drop this child before it reads the command; the state is wanted all the same.
        if SAVE in commands:
            self._save(None)
        elif DROP in commands and self._writer is None:
            self._leave(HoldReport("dropped"))

    def _save(self, why: str | None) -> None:
        if self._writer is None:
            self._why, self._asked = why, monotonic()
            self._start_writer()

    def _start_writer(self) -> None:
        page, parent = Page(), getpid()
        try:
            pid = fork()
        except OSError as error:
            self._leave(HoldReport("failed", f"the state could not be written: {error}"))
        if pid == 0:
            # Else a writer that hangs could hold the spool's lock for ever: nobody would watch it.
            die_with(parent)
            write(self.capture, self.place, page, self._leave_out, self.pause)
        self._writer = _Writer(pid, os.pidfd_open(pid), page, monotonic())

    def _writer_ended(self, writer: _Writer) -> None:
        _, status, usage = os.wait4(writer.pid, 0)
        self._cpu += usage.ru_utime + usage.ru_stime
        os.close(writer.descriptor)
        self._writer = None
        report = writer.page.read()
        if report.phase is Phase.SAVED:
            self._leave(HoldReport("saved", self._why, written_bytes=report.written))
        if report.phase is Phase.FAILED:
            self._leave(HoldReport("failed", report.text))
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGKILL or not report.text:
            # SIGKILL, or no variable in hand: not the pickling's fault, but for instance the system's, which
            # was short of memory. So the writer starts once more, but not for ever.
            self._kills += 1
            if self._kills > _MAX_KILLS:
                why = f"the process that wrote it ended again and again ({ending(code)})"
                self._leave(HoldReport("failed", why))
            self._start_writer()
        else:
            self._without(report.text, f"its pickling ended the process ({ending(code)})")

    def _without(self, name: str, reason: str) -> None:
        """Start a new writer that leaves out a variable which cannot be pickled."""
        self._leave_out[name] = reason
        if len(self._leave_out) > _MAX_LEFT_OUT:
            names = ", ".join(self._leave_out)
            self._leave(HoldReport("failed", f"too many variables cannot be pickled: {names}"))
        self._start_writer()

    def _watch_memory(self) -> None:
        verdict = self.budget.look(self._writer.pid if self._writer else None)
        if verdict is MemoryState.LEAVE:
            self._leave(HoldReport("dropped", self.budget.reason))
        if verdict is MemoryState.SAVE:
            self._save(self.budget.reason)

    def _watch_writer(self, writer: _Writer) -> None:
        now = monotonic()
        if now - self._asked > self.options.save_seconds:
            self._leave(HoldReport("failed", f"it was not written within {self.options.save_seconds:g} s"))
        spent = _spent(writer.pid)
        if spent != writer.spent:
            writer.spent, writer.busy = spent, now
        report = writer.page.read()
        quiet, name = now - report.when, report.text
        limit = self.options.variable_seconds
        if report.phase is not Phase.WRITING or quiet < limit + _GRACE_SECONDS:
            return
        if now - writer.busy > _IDLE_SECONDS:
            reason = f"its pickling did not end within {limit:g} s (does it wait for a lock or a thread?)"
        elif name and quiet > 10 * limit:
            reason = f"its pickling did not end within {10 * limit:g} s"
        else:
            return
        self._kill_writer()
        if not name:
            self._leave(HoldReport("failed", f"writing it came to a halt for {quiet:.0f} s"))
        self._without(name, reason)

    def _kill_writer(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            os.kill(writer.pid, signal.SIGKILL)  # our own child, not waited for yet
            _, _, usage = os.wait4(writer.pid, 0)
            self._cpu += usage.ru_utime + usage.ru_stime
            os.close(writer.descriptor)

    def _leave(self, report: HoldReport) -> NoReturn:
        self._kill_writer()
        whole = HoldReport(
            report.state,
            report.reason,
            seconds=monotonic() - self._asked if self._asked else 0.0,
            cpu_seconds=self._cpu,
            peak_pss=self.budget.peak,
            written_bytes=report.written_bytes,
        )
        with suppress(OSError):  # the runner then sees this process end without a report
            self.place.write_report(whole)
        os._exit(0)


def _spent(pid: int) -> tuple[int, int]:
    """Return the clock ticks that a process computed and the bytes that it wrote (proc(5)): do they grow?"""
    try:
        with open_file(f"/proc/{pid}/stat", "rb") as file:
            # Of these, utime and stime count. The name before them may hold spaces and brackets.
            fields = file.read().rpartition(b")")[2].split()
        with open_file(f"/proc/{pid}/io", "rb") as file:
            written = int(file.read().split()[3])
    except (OSError, IndexError, ValueError):
        return 0, 0
    return int(fields[11]) + int(fields[12]), written
