"""The held child: it sleeps, keeps the state, and sees to it that a writer stores it when that is wanted.

It listens to the runner's commands, to the kernel's death (then it saves) and to the runner's (then it ends),
and it watches memory. It never touches the notebook's objects itself: a writer does, and whatever becomes of
that one, the state is still here.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from respawn_kernels.budget import Budget, Verdict
from respawn_kernels.forking import fork
from respawn_kernels.held import DROP, SAVE, Options, Place, Report
from respawn_kernels.originals import getpid, monotonic, open_file
from respawn_kernels.writing import Capture, Page, Phase, die_with, write

_GRACE_SECONDS = 5.0
"""What a variable may take beyond its time before the writer is killed, which ends hanging Python itself."""
_IDLE_SECONDS = 2.0
"""A writer that did nothing for so long hangs; one that computes is given ten times the variable's time."""
_WATCH_SECONDS = 0.1
_MOST_LEFT_OUT = 8
_MOST_KILLS = 2


@dataclass
class _Writer:
    pid: int
    descriptor: int
    page: Page
    busy: float
    """When it last did something."""
    spent: tuple[int, int] = (0, 0)


@dataclass
class Ends:
    """The file descriptors that a held child listens to."""

    fifo: int
    kernel: int
    runner: int


@dataclass
class Supervisor:
    """One held child's life."""

    place: Place
    capture: Capture
    options: Options
    budget: Budget
    ends: Ends
    pause: float
    """How long the kernel was kept waiting."""
    _writer: _Writer | None = None
    _why: str | None = None
    _asked: float = 0.0
    _cpu: float = 0.0
    _kills: int = 0
    _leave_out: dict[str, str] = field(default_factory=dict)

    def run(self) -> NoReturn:
        """Live until the state is saved, not wanted any more, or too dear."""
        poller = select.poll()
        for descriptor in (self.ends.fifo, self.ends.kernel, self.ends.runner):
            poller.register(descriptor, select.POLLIN)
        while True:
            if self._writer is not None:
                poller.register(self._writer.descriptor, select.POLLIN)
            ready = {descriptor for descriptor, _ in poller.poll(self._patience() * 1000)}
            if self.ends.runner in ready:
                self._kill_writer()
                os._exit(0)
            if self.ends.fifo in ready:
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

    def _patience(self) -> float:
        return min(self.budget.wait, _WATCH_SECONDS) if self._writer else self.budget.wait

    def _obey(self) -> None:
        commands = b""
        with suppress(BlockingIOError):
            commands = os.read(self.ends.fifo, 1024)
        if SAVE in commands:  # it is wanted, even if the kernel dropped us before we came to hear of it
            self._save(None)
        elif DROP in commands and self._writer is None:
            self._leave(Report("dropped"))

    def _save(self, why: str | None) -> None:
        if self._writer is None:
            self._why, self._asked = why, monotonic()
            self._start_writer()

    def _start_writer(self) -> None:
        page, parent = Page(), getpid()
        try:
            pid = fork()
        except OSError as error:
            self._leave(Report("failed", f"the state could not be written: {error}"))
        if pid == 0:
            die_with(parent)
            write(self.capture, self.place, page, self._leave_out, self.pause)
        self._writer = _Writer(pid, os.pidfd_open(pid), page, monotonic())

    def _writer_ended(self, writer: _Writer) -> None:
        _, status, usage = os.wait4(writer.pid, 0)
        self._cpu += usage.ru_utime + usage.ru_stime
        os.close(writer.descriptor)
        self._writer = None
        said = writer.page.read()
        if said.phase is Phase.SAVED:
            self._leave(Report("saved", self._why, written_bytes=said.written))
        if said.phase is Phase.FAILED:
            self._leave(Report("failed", said.text))
        ending = _ending(os.waitstatus_to_exitcode(status))
        if os.waitstatus_to_exitcode(status) == -signal.SIGKILL or not said.text:
            # Somebody else's doing, the system's for want of memory perhaps: once more, but not for ever.
            self._kills += 1
            if self._kills > _MOST_KILLS:
                self._leave(Report("failed", f"the process that wrote it ended again and again ({ending})"))
            self._start_writer()
        else:
            self._without(said.text, f"its pickling ended the process ({ending})")

    def _without(self, name: str, reason: str) -> None:
        """Begin again without a variable that cannot be pickled."""
        self._leave_out[name] = reason
        if len(self._leave_out) > _MOST_LEFT_OUT:
            names = ", ".join(self._leave_out)
            self._leave(Report("failed", f"too many variables cannot be pickled: {names}"))
        self._start_writer()

    def _watch_memory(self) -> None:
        verdict = self.budget.look(self._writer.pid if self._writer else None)
        if verdict is Verdict.LEAVE:
            self._leave(Report("dropped", self.budget.reason))
        if verdict is Verdict.SAVE:
            self._save(self.budget.reason)

    def _watch_writer(self, writer: _Writer) -> None:
        now = monotonic()
        if now - self._asked > self.options.save_seconds:
            self._leave(Report("failed", f"it was not written within {self.options.save_seconds:g} s"))
        spent = _spent(writer.pid)
        if spent != writer.spent:
            writer.spent, writer.busy = spent, now
        said = writer.page.read()
        quiet, name = now - said.when, said.text
        limit = self.options.variable_seconds
        if said.phase is not Phase.WRITING or quiet < limit + _GRACE_SECONDS:
            return
        if now - writer.busy > _IDLE_SECONDS:
            reason = f"its pickling did not end within {limit:g} s (does it wait for a lock or a thread?)"
        elif name and quiet > 10 * limit:
            reason = f"its pickling did not end within {10 * limit:g} s"
        else:
            return
        self._kill_writer()
        if not name:
            self._leave(Report("failed", f"writing it came to a halt for {quiet:.0f} s"))
        self._without(name, reason)

    def _kill_writer(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            os.kill(writer.pid, signal.SIGKILL)  # our own child, not waited for yet
            _, _, usage = os.wait4(writer.pid, 0)
            self._cpu += usage.ru_utime + usage.ru_stime
            os.close(writer.descriptor)

    def _leave(self, report: Report) -> NoReturn:
        self._kill_writer()
        whole = Report(
            report.state,
            report.reason,
            seconds=monotonic() - self._asked if self._asked else 0.0,
            cpu_seconds=self._cpu,
            peak_pss=self.budget.peak,
            written_bytes=report.written_bytes,
        )
        with suppress(OSError):  # who waits sees this process end, and that it said nothing
            self.place.write_report(whole)
        os._exit(0)


def _ending(code: int) -> str:
    return f"exit status {code}" if code >= 0 else signal.Signals(-code).name


def _spent(pid: int) -> tuple[int, int]:
    """Return the clock ticks that a process computed and the bytes that it wrote: do they grow?"""
    try:
        with open_file(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open_file(f"/proc/{pid}/io", "rb") as file:
            written = int(file.read().split()[3])
    except (OSError, IndexError, ValueError):
        return 0, 0
    return int(fields[11]) + int(fields[12]), written
