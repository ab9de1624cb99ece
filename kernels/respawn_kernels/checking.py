"""Whether what was written loads and is what it was, before anybody relies on it.

A child of the writer loads each new group and compares it with the original (`rehearsal`). What does not load
or comes back different is listed as not stored, with the reason. What could not be checked is stored, and its
group says so: it takes too long, is too large, or loading it reaches out of the process.

The child is the writer's, has a copy of everything, and ends. It can write no file, start no process and
reach no network: an audit hook stops that. Classes in C that do so without telling Python are not stopped.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from respawn_kernels.forking import fork_without_warning
from respawn_kernels.originals import dumps, getpid, loads, monotonic
from respawn_kernels.rehearsal import CannotTell, ComesBackOtherwise, Rehearsal, Written

LARGEST = 32 << 20
"""Streams and text of more bytes are not checked: loading them takes several times their memory."""
_MOST_CHILDREN = 6
"""One that hangs or dies is followed by another one, but not for ever."""
_TICK_SECONDS = 0.25
_IDLE_SECONDS = 2.0
_OUTSIDE = (
    *("os.system", "os.fork", "os.forkpty", "os.exec", "os.spawn", "os.posix_spawn", "os.startfile"),
    *("os.kill", "os.killpg", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink"),
    *("os.truncate", "os.chmod", "os.chown", "os.utime", "subprocess.Popen", "sqlite3.connect"),
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "shutil.rmtree", "pty.spawn"),
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Verdict:
    """What the check of a group found; both empty when it comes back as it was."""

    lost: str | None = None
    """Why it must not be relied on."""
    name: str | None = None
    """The variable that is to blame."""
    unchecked: str | None = None
    """Why nobody can tell."""


class _Outside(BaseException):
    """Loading reaches out of the process. Not an `Exception`: a constructor must not swallow it."""


def check(
    groups: list[Written],
    rehearse: Callable[[Callable[[str], None]], Rehearsal],
    seconds: float,
    progress: Callable[[str | None], None],
) -> list[Verdict]:
    """Check groups in children of this process.

    Args:
        groups: what was written.
        rehearse: makes the rehearsal, in the child; it tells which variable it loads.
        seconds: how long all of it may take.
        progress: told the variable that is checked next.

    Returns:
        A verdict for each group.
    """
    verdicts: dict[int, Verdict] = {}
    until = monotonic() + seconds
    for _ in range(_MOST_CHILDREN):
        waiting = [place for place in range(len(groups)) if place not in verdicts]
        left = until - monotonic()
        if not waiting or left <= 0:
            break
        verdicts |= _in_a_child(groups, waiting, rehearse, left, progress)
    late = Verdict(unchecked=f"checking all took more than {seconds:g} s")
    return [verdicts.get(place, late) for place in range(len(groups))]


def _in_a_child(
    groups: list[Written],
    places: list[int],
    rehearse: Callable[[Callable[[str], None]], Rehearsal],
    seconds: float,
    progress: Callable[[str | None], None],
) -> dict[int, Verdict]:
    """Return the verdicts of one child: it may hang, or die of what it loads."""
    hear, tell = os.pipe()
    writer = getpid()
    pid = fork_without_warning()
    if pid == 0:
        _child(rehearse, places, tell, writer)
    os.close(tell)
    try:
        heard = _Heard(groups, progress)
        hung = heard.listen(hear, pid, seconds)
    finally:
        os.close(hear)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if heard.current is not None and heard.current not in heard.verdicts:
        heard.verdicts[heard.current] = _ended(os.waitstatus_to_exitcode(status), hung, heard.name)
    return heard.verdicts


def _ended(code: int, hung: str | None, name: str | None) -> Verdict:
    if hung is not None:
        return Verdict(unchecked=hung)
    if code == -signal.SIGKILL:
        return Verdict(unchecked="the process that loaded it was killed")
    ending = f"exit status {code}" if code >= 0 else signal.Signals(-code).name
    return Verdict(f"it does not load: that ended the process ({ending})", name)


def _cpu_of(pid: int) -> float:
    """Return the clock ticks that a process computed."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return float(int(fields[11]) + int(fields[12]))


class _Heard:
    """What a child told until it ended or was silent for too long."""

    def __init__(self, groups: list[Written], progress: Callable[[str | None], None]) -> None:
        self._groups = groups
        self._progress = progress
        self.verdicts: dict[int, Verdict] = {}
        self.current: int | None = None
        """The group that it is about."""
        self.name: str | None = None
        """The variable that it loads."""

    def listen(self, hear: int, pid: int, seconds: float) -> str | None:
        """Listen until the child ends; return why that is not waited for any longer."""
        rest, until = b"", monotonic() + seconds
        poller = select.poll()
        poller.register(hear, select.POLLIN)
        spent, busy = 0.0, monotonic()
        while True:
            if not poller.poll(_TICK_SECONDS * 1000):
                now, before = monotonic(), spent
                spent = _cpu_of(pid)
                busy = now if spent != before else busy
                if now >= until:
                    return f"loading it took more than {seconds:.0f} s"
                if now - busy >= _IDLE_SECONDS:
                    return "loading it waited for a lock or a thread that a forked process does not have"
                continue
            busy = monotonic()
            data = os.read(hear, 1 << 16)
            if not data:
                return None
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._hear(loads(line))

    def _hear(self, told: dict[str, Any]) -> None:
        if "begins" in told:
            self.current, self.name = told["begins"], None
            self._progress(self._groups[told["begins"]].names[0])
        elif "about" in told:
            self.name = told["about"]
        else:
            place = told.pop("place")
            self.verdicts[place] = Verdict(**told)


def _child(
    rehearse: Callable[[Callable[[str], None]], Rehearsal], places: list[int], tell: int, writer: int
) -> NoReturn:
    try:
        from respawn_kernels.writing import die_with

        die_with(writer)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        sys.dont_write_bytecode = True
        rehearsal = rehearse(lambda name: _say(tell, about=name))
        sys.addaudithook(_stay_inside)
        again = []
        for place in places:
            _say(tell, begins=place)
            verdict = _verdict(rehearsal, place)
            if verdict.lost is not None:
                again.append(place)
            else:
                _say(tell, place=place, **vars(verdict))
        if again:
            rehearsal.populate()
        for place in again:
            _say(tell, begins=place)
            verdict = _verdict(rehearsal, place)
            _say(tell, place=place, **vars(verdict))
    finally:
        os._exit(0)


def _verdict(rehearsal: Rehearsal, place: int) -> Verdict:
    try:
        rehearsal.check(place)
    except ComesBackOtherwise as error:
        return Verdict(error.why, error.name)
    except _Outside as error:
        return Verdict(unchecked=f"loading it reaches out of the process ({error})")
    except CannotTell as error:
        return Verdict(unchecked=f"it could not be compared: {error}")
    except MemoryError:
        return Verdict(unchecked="there was no memory to load it")
    except Exception as error:  # noqa: BLE001  what cannot be compared is not known to be wrong
        return Verdict(unchecked=f"it could not be compared ({type(error).__name__})")
    return Verdict()


def _say(tell: int, **told: Any) -> None:
    os.write(tell, dumps(told).encode() + b"\n")


def _stay_inside(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        flags = arguments[2]
        if isinstance(flags, int) and flags & _WRITING and str(arguments[0]) != os.devnull:
            raise _Outside(f"it opens {arguments[0]} for writing")
    elif event in _OUTSIDE:
        raise _Outside(event)
