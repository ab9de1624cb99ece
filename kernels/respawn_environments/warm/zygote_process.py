"""A zygote as the process sees it that asks for kernels: started early, asked, ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from respawn_environments.warm.orders import PROTOCOL, TAKE, Check, Order, TooLong, hear, tell
from respawn_kernels.process_ends import signal_name

_ANSWER_SECONDS = 5.0
_ADOPTION_SECONDS = 5.0
_LAST_WORDS_SECONDS = 1.0
"""How long a zygote that has closed its socket may take to end."""
_TAIL = 2000
"""Bytes of what a zygote wrote that are looked at for its last words."""
MODULE = "respawn_environments.warm.zygote"


class NotWarm(Exception):
    """There is no warm kernel; the message says why. A plain start does instead."""


class NoAnswer(NotWarm):
    """The zygote lives and did not answer in time: the machine is busy, or it was stopped."""


class Closed(NotWarm):
    """Another thread has ended the zygote while this one asked it: for another environment, say."""


class StillImporting(NotWarm):
    """The zygote is not ready yet; it will be."""


class NeverWarm(NotWarm):
    """No kernel will come from such a zygote: its imports failed, or started what a fork does not bear."""

    def __init__(self, message: str, module: str | None = None, *, failed: bool = False) -> None:
        """Make the error.

        Args:
            message: Why, in words.
            module: The module whose import is to blame; None where that is not known.
            failed: Whether the import failed, or ended the process; else it has started something.
        """
        super().__init__(message)
        self.module = module
        self.failed = failed


class ZygoteProcess:
    """One zygote, of one interpreter with one set of variables."""

    def __init__(
        self,
        interpreter: Sequence[str],
        environment: Mapping[str, str],
        imports: Sequence[str] = (),
        hidden: Sequence[str] = (),
    ) -> None:
        """Start it, and return while it imports.

        Args:
            interpreter: The program of the environment's Python, and its flags.
            environment: All variables of the kernels that are to come from it.
            imports: Modules that it imports beside ipykernel.
            hidden: Modules that it imports, and hides until a notebook imports them.

        Raises:
            OSError: The program cannot be started.
        """
        self._one_at_a_time = threading.Lock()
        self._ready: bool | None = None
        self._importing: str | None = None
        """Which module it said last that it imports."""
        self.forked = 0
        """How many kernels have come from it."""
        self.silences = 0
        """How many orders in a row it has left without an answer."""
        with ExitStack() as opened:  # closes what is open when a step fails
            self._end, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            opened.enter_context(self._end)
            with other:
                self._errors = opened.enter_context(tempfile.TemporaryFile())
                self._process = subprocess.Popen(
                    [
                        *interpreter,
                        "-m",
                        MODULE,
                        str(other.fileno()),
                        str(os.getpid()),
                        *imports,
                        "--",
                        *hidden,
                    ],
                    env=dict(environment),
                    cwd="/",
                    pass_fds=[other.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._errors,
                    start_new_session=True,
                )
            self._end.settimeout(_ANSWER_SECONDS)
            opened.pop_all()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the process is gone: nobody had asked it for long, say."""
        with suppress(ProcessLookupError):  # somebody else has reaped it
            return self._end_within(0.0) is not None
        return True

    def with_last_words(self, error: NotWarm) -> str:
        """Return why it failed, with how it ended and the last line that it wrote to its standard error.

        Args:
            error: Why.
        """
        try:
            end = self._end_within(_LAST_WORDS_SECONDS)
            if end is not None and _was_too_slow(end):
                return f"{error}: its imports took too long"
            size = self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(size - _TAIL, 0))
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
        except (ChildProcessError, ProcessLookupError, ValueError):  # Race: another thread has closed it.
            return str(error)
        return f"{error}: {lines[-1]}" if lines else str(error)

    def fork(self, order: Order, output: int, errors: int | None = None) -> int:
        """Have it fork a kernel, which is a child of this process then; one thread at a time.

        This process must adopt orphans meanwhile: prctl(2), PR_SET_CHILD_SUBREAPER. When this raises, there
        is no such kernel, and none will be.

        Args:
            order: What kernel is wanted; its environment must be the zygote's own, but for variables that
                nobody reads while modules are imported.
            output: A descriptor that takes what the kernel's process writes to its standard output.
            errors: One that takes what it writes to its standard error; None for the same.

        Returns:
            The kernel's process id.

        Raises:
            StillImporting: It is not ready; it will be.
            NeverWarm: Its imports came to nothing, or no zygote can be told what is wanted.
            NotWarm: It cannot do so now, or it is gone.
        """
        with self._one_at_a_time:
            if not self._is_ready():
                raise StillImporting("the zygote still imports")
            give_up = time.monotonic() + _ANSWER_SECONDS
            gate, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with gate:
                try:
                    with other:
                        outputs = [output, output if errors is None else errors]
                        tell(self._end, replace(order, until=give_up), [*outputs, other.fileno()])
                    pid = _taken(gate, give_up)
                except NoAnswer:
                    self.silences += 1
                    raise
                except TooLong as error:
                    raise NeverWarm(str(error)) from None
                except OSError as error:
                    raise NotWarm(f"the zygote is gone: {error}") from error
            self.forked += 1
            self.silences = 0
            return pid

    def check(self) -> None:
        """Ask whether kernels that came from it are as one would be that it forked now.

        Raises:
            NotWarm: Something that it has imported was changed, or it is gone.
        """
        gate, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with self._one_at_a_time, gate:
            try:
                with other:
                    tell(self._end, Check(), [other.fileno()])
                problem = _answer(gate, time.monotonic() + _ANSWER_SECONDS)["problem"]
            except OSError as error:
                raise NotWarm(f"the zygote is gone: {error}") from error
        if problem is not None:
            raise NotWarm(str(problem))

    @property
    def importing(self) -> str | None:
        """The module that it said last that it imports; None where it has said nothing."""
        return self._importing

    def wait(self, seconds: float) -> bool:
        """Wait until its imports are done, for so long at most; tells whether they are.

        Args:
            seconds: How long.

        Raises:
            NeverWarm: They failed.
            NotWarm: Another thread has closed it.
        """
        give_up = time.monotonic() + seconds
        while not self._is_ready():
            left = give_up - time.monotonic()
            if left <= 0 or not _hears(self._end, left):
                return False
        return True

    def _is_ready(self) -> bool:
        """Return whether its imports are done. Raises `NeverWarm` when they failed."""
        while self._ready is None:
            if not _hears(self._end, 0.0):
                return False
            try:
                fields = _answer(self._end, 0.0)
            except (NeverWarm, Closed):  # NeverWarm: of another protocol
                raise
            except NotWarm as error:
                raise self._ended(error) from error
            if "importing" in fields:
                self._importing = str(fields["importing"])
                continue
            if fields["problem"] is not None:
                failed = bool(fields.get("failed"))
                raise NeverWarm(str(fields["problem"]), fields.get("module"), failed=failed)
            self._ready = True
        return self._ready

    def _ended(self, error: NotWarm) -> NeverWarm:
        """Return how it ended on its way, in words."""
        if self._importing is None:
            return NeverWarm(str(error))
        end = self._end_within(_ANSWER_SECONDS)
        if end is None:
            how = "closes the socket by which it would answer"
        elif end.si_code == os.CLD_EXITED:
            how = f"ends the process with status {end.si_status}"
        elif _was_too_slow(end):
            how = "does not come to an end"
        else:
            how = f"ends the process by {signal_name(end.si_status)}"
        return NeverWarm(f"the import of {self._importing} {how}", self._importing, failed=True)

    def _end_within(self, seconds: float) -> os.waitid_result | None:
        """Return how it ended, if it does within so long; `close` reaps it, so its number stays its own."""
        pidfd = os.pidfd_open(self.pid)
        try:
            ended = _readable(pidfd, seconds)
        finally:
            os.close(pidfd)
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT) if ended else None

    def close(self) -> None:
        """End it, with what its imports have started; the kernels that came from it go on."""
        self._end.close()
        self._errors.close()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # a kernel has a session of its own before it is taken
        self._process.wait()


def _was_too_slow(end: os.waitid_result) -> bool:
    """Whether a zygote has ended itself because its imports went on for too long."""
    return end.si_code != os.CLD_EXITED and end.si_status == signal.SIGALRM


def _taken(gate: socket.socket, give_up: float) -> int:
    """Take the kernel that waits behind a gate; return its process id once it is a child of this process.

    Raises `NotWarm` and `OSError`; the kernel is gone then, or will be without having come up.
    """
    pid = _pid(_answer(gate, give_up))
    pidfd = os.pidfd_open(pid)  # it waits for our word, so the number is still its own
    try:
        gate.send(TAKE)
        _pid(_answer(gate, give_up + _ADOPTION_SECONDS))
    except BaseException:
        # Race: it was taken, and so may be about to bind what a plain start binds next.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        _readable(pidfd, None)  # at its end: pidfd_open(2)
        _reap(pid)
        raise
    finally:
        os.close(pidfd)
    return pid


def _reap(pid: int) -> None:
    """Reap a kernel that has ended, by whoever its parent is: the process between may end just now."""
    give_up = time.monotonic() + _ADOPTION_SECONDS
    while Path(f"/proc/{pid}").exists() and time.monotonic() < give_up:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        time.sleep(0.001)


def _hears(end: socket.socket, seconds: float) -> bool:
    """Wait so long for a packet, or for the end. Raises `Closed`."""
    number = end.fileno()
    if number < 0:
        raise Closed("the zygote was ended meanwhile")
    return _readable(number, seconds)


def _readable(descriptor: int, seconds: float | None) -> bool:
    """Wait so long; not by `select`, which fails in a server that has more than a thousand files open."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(None if seconds is None else 1000 * seconds))


def _pid(answer: dict[str, Any]) -> int:
    if answer.get("pid") is None:
        raise NotWarm(str(answer.get("problem")))
    return int(answer["pid"])


def _answer(end: socket.socket, give_up: float) -> dict[str, Any]:
    """Wait for an answer until then, by `time.monotonic`. Raises `NotWarm`."""
    if not _hears(end, max(give_up - time.monotonic(), 0.0)):
        raise NoAnswer(f"the zygote did not answer within {_ANSWER_SECONDS:g} s")
    try:
        fields, _ = hear(end)
    except OSError as error:
        raise NotWarm(f"the zygote is gone: {error}") from error
    if fields is None:
        raise NotWarm("the zygote is gone")
    if (spoken := fields.get("protocol", PROTOCOL)) != PROTOCOL:
        raise NeverWarm(
            f"the zygote of the environment speaks protocol {spoken}, and this process {PROTOCOL}"
        )
    return fields
