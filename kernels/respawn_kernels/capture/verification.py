"""Whether what was written loads and is what it was, before anybody relies on it.

A child of the writer loads each new group and compares it with the original (`trial_load`). What does not
load or comes back different is listed as not stored, with the reason. What could not be checked is stored,
and its group says so: it takes too long, is too large, or loading it reaches out of the process.

The child is the writer's, has a copy of everything, and ends. It can write no file, start no process and
reach no network: an audit hook (PEP 578) stops that. Code in C that does so without an audit event is not
stopped, except from writing files.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from respawn_kernels.capture.trial_load import CannotTell, ComesBackOtherwise, Rehearsal, Written
from respawn_kernels.host.forking import fork_without_warning
from respawn_kernels.host.own_process import die_with
from respawn_kernels.originals import dumps, getpid, loads, monotonic
from respawn_kernels.process_ends import ending

LARGEST = 32 << 20
"""Streams and text of more bytes are not checked: loading them takes several times their memory."""
_MAX_CHILDREN = 6
"""A child that hangs or dies is followed by another one, but not for ever."""
_TICK_SECONDS = 0.25
_IDLE_SECONDS = 2.0
"""A child that neither reports nor computes for so long hangs."""
_OUTSIDE = (
    *("os.system", "os.fork", "os.forkpty", "os.exec", "os.spawn", "os.posix_spawn", "os.startfile"),
    *("os.kill", "os.killpg", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink"),
    *("os.truncate", "os.chmod", "os.chown", "os.utime", "subprocess.Popen", "sqlite3.connect"),
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "shutil.rmtree", "pty.spawn"),
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class GroupCheckResult:
    """What the check of a group found; empty when it comes back as it was."""

    lost: str | None = None
    """Why it must not be relied on; None when it may be."""
    name: str | None = None
    """The variable that is the reason; None when it is not known which."""
    unchecked: str | None = None
    """Why it could not be checked; None when it was."""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """Attributes that it comes back without, by the name of their class."""


class _Outside(BaseException):
    """Loading reaches out of the process. Not an `Exception`: a constructor must not swallow it."""


def check(
    groups: list[Written],
    rehearse: Callable[[Callable[[str], None]], Rehearsal],
    seconds: float,
    progress: Callable[[str | None], None],
) -> list[GroupCheckResult]:
    """Check groups in children of this process.

    Args:
        groups: what was written.
        rehearse: makes the rehearsal, in the child; what it is given is to be called with each variable's
            name before it is loaded.
        seconds: how long all of it may take.
        progress: called with the name of a group's first variable before the group is checked.

    Returns:
        A result for each group, in the order of the groups.
    """
    verdicts: dict[int, GroupCheckResult] = {}
    until = monotonic() + seconds
    for _ in range(_MAX_CHILDREN):
        waiting = [place for place in range(len(groups)) if place not in verdicts]
        left = until - monotonic()
        if not waiting or left <= 0:
            break
        verdicts |= _in_a_child(groups, waiting, rehearse, left, progress)
    late = GroupCheckResult(unchecked=f"checking all took more than {seconds:g} s")
    return [verdicts.get(place, late) for place in range(len(groups))]


def _in_a_child(
    groups: list[Written],
    places: list[int],
    rehearse: Callable[[Callable[[str], None]], Rehearsal],
    seconds: float,
    progress: Callable[[str | None], None],
) -> dict[int, GroupCheckResult]:
    """Return the results of one child by place: it may hang, or die of what it loads."""
    hear, pipe = os.pipe()
    writer = getpid()
    pid = fork_without_warning()
    if pid == 0:
        _child(rehearse, places, pipe, writer)
    os.close(pipe)  # now only the child has this end: reading it ends when the child does
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


def _ended(code: int, hung: str | None, name: str | None) -> GroupCheckResult:
    if hung is not None:
        return GroupCheckResult(unchecked=hung)
    if code == -signal.SIGKILL:
        return GroupCheckResult(unchecked="the process that loaded it was killed")
    return GroupCheckResult(f"it does not load: that ended the process ({ending(code)})", name)


def _cpu_of(pid: int) -> float:
    """Return the clock ticks that a process computed."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return float(int(fields[11]) + int(fields[12]))


class _Heard:
    """What a child reported until it ended or was silent for too long."""

    def __init__(self, groups: list[Written], progress: Callable[[str | None], None]) -> None:
        self._groups = groups
        self._progress = progress
        self.verdicts: dict[int, GroupCheckResult] = {}
        self.current: int | None = None
        """Place of the group that it is checking."""
        self.name: str | None = None
        """The variable that it loads."""

    def listen(self, hear: int, pid: int, seconds: float) -> str | None:
        """Read reports until the child ends.

        Args:
            hear: descriptor of the pipe that the child writes to.
            pid: the child's process id.
            seconds: how long to wait at most.

        Returns:
            Why the child is not waited for any longer; None when it has ended.
        """
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

    def _hear(self, message: dict[str, Any]) -> None:
        if "begins" in message:
            self.current, self.name = message["begins"], None
            self._progress(self._groups[message["begins"]].names[0])
        elif "about" in message:
            self.name = message["about"]
        else:
            place = message.pop("place")
            self.verdicts[place] = GroupCheckResult(**message)


def _child(
    rehearse: Callable[[Callable[[str], None]], Rehearsal], places: list[int], pipe: int, writer: int
) -> NoReturn:
    try:
        die_with(writer)
        # Nothing can be written to a regular file, by code in C neither; pipes can be used (setrlimit(2)).
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        sys.dont_write_bytecode = True
        rehearsal = rehearse(lambda name: _send(pipe, about=name))
        sys.addaudithook(_stay_inside)  # it can never be removed (PEP 578), and ends with this process
        again = []
        for place in places:
            _send(pipe, begins=place)
            verdict = _verdict(rehearsal, place)
            if verdict.lost is not None:
                again.append(place)
            else:
                _send(pipe, place=place, **vars(verdict))
        if again:  # as a restore does: a constructor may need variables of the notebook
            rehearsal.populate()
        for place in again:
            _send(pipe, begins=place)
            verdict = _verdict(rehearsal, place)
            _send(pipe, place=place, **vars(verdict))
    finally:
        os._exit(0)


def _verdict(rehearsal: Rehearsal, place: int) -> GroupCheckResult:
    try:
        return GroupCheckResult(left_out=rehearsal.check(place))
    except ComesBackOtherwise as error:
        return GroupCheckResult(error.why, error.name)
    except _Outside as error:
        return GroupCheckResult(unchecked=f"loading it reaches out of the process ({error})")
    except CannotTell as error:
        return GroupCheckResult(unchecked=f"it could not be compared: {error}")
    except MemoryError:
        return GroupCheckResult(unchecked="there was no memory to load it")
    except Exception as error:  # noqa: BLE001  what cannot be compared is not known to be wrong
        return GroupCheckResult(unchecked=f"it could not be compared ({type(error).__name__})")


def _send(pipe: int, **message: Any) -> None:
    os.write(pipe, dumps(message).encode() + b"\n")


def _stay_inside(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        flags = arguments[2]
        if isinstance(flags, int) and flags & _WRITING and str(arguments[0]) != os.devnull:
            raise _Outside(f"it opens {arguments[0]} for writing")
    elif event in _OUTSIDE:
        raise _Outside(event)
