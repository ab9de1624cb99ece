"""Holding the state of a kernel in a forked child that sleeps while the next cell runs.

The child has a session of its own and none of the kernel's descriptors, hears no interrupt, and leaves only
by `os._exit`. It is no child of the kernel: see `orphan`. What it does from then on is in `supervise`.
"""

from __future__ import annotations

import ctypes
import faulthandler
import fcntl
import gc
import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from respawn_kernels.budget import Budget
from respawn_kernels.evidence.watch import leave
from respawn_kernels.held import MEGABYTE, Held, Options, Place, process_name
from respawn_kernels.originals import getpid, perf_counter
from respawn_kernels.orphan import fork_orphan
from respawn_kernels.quiet import quiet
from respawn_kernels.safety import resident_bytes, why_not_fork
from respawn_kernels.supervise import Ends, Supervisor
from respawn_kernels.writing import Capture

_IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIGTSTP", "SIGUSR1", "SIGUSR2", "SIGXFSZ")
_OUT_OF_THE_WAY = 16
_EXPECTED_SHARE = 16
"""A cell is expected to rewrite a sixteenth of the state; what it does is watched."""
_UP_SECONDS = 3.0
_LOCKED_MILLISECONDS = 100
_MOST_FORKS = 3
_given_up: str | None = None
"""Why this kernel is not forked any more: what hangs several times in a row will again."""


class Busy(Exception):
    """Forking now could hang the kernel."""


class NotUp(Exception):
    """The forked children hung before they came to themselves."""


def hold(place: Place, capture: Capture, runner: int, options: Options) -> Held:
    """Fork a child that holds the present state, if that is safe.

    Args:
        place: where child and runner meet.
        capture: what writes the state when it is wanted.
        runner: the process that adopts the child; when it ends, so does the child.
        options: how children are held.

    Returns:
        The child, or why there is none.
    """
    global _given_up
    started = perf_counter()
    size = resident_bytes()
    reason = _given_up or why_not_fork(size // _EXPECTED_SHARE, options)
    pid = None
    if reason is None:
        try:
            pid = _fork(place, capture, runner, options, started)
        except Busy:
            reason = (
                "a thread of the notebook computes without a pause, and OpenBLAS may not bear a fork then"
            )
        except NotUp:
            reason = _given_up = "forked children of this kernel hang, as when a lock stays taken in them"
        except OSError as error:
            reason = f"forking was refused: {error.strerror or error}"
    return Held(pid, "none" if pid is None else "fork", reason, perf_counter() - started, size)


def _fork(place: Place, capture: Capture, runner: int, options: Options, started: float) -> int:
    kernel = getpid()
    place.fifo.unlink(missing_ok=True)
    os.mkfifo(place.fifo, 0o600)
    descriptors = [os.open(place.fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)]
    signals = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        descriptors += [os.pidfd_open(kernel), os.pidfd_open(runner)]

        def child() -> NoReturn:
            pause = perf_counter() - started
            budget = Budget(kernel, options.memory_mb * MEGABYTE if options.memory_mb else None)
            Supervisor(place, capture, options, budget, Ends(*_settle(descriptors)), pause).run()

        for _ in range(_MOST_FORKS):
            pid = _fork_that_comes_up(child, process_name(place.spool))
            if pid is not None:
                return pid
        raise NotUp
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        for descriptor in descriptors:
            os.close(descriptor)


def _fork_that_comes_up(run: Callable[[], NoReturn], name: str) -> int | None:
    """Fork a child and wait for its first word; one that hangs is killed, and None returned.

    A lock that another thread holds is never released in a forked child. Python makes its own anew, but some
    versions too late (https://github.com/python/cpython/issues/112275), and libraries may not.
    """
    hear, tell = os.pipe()

    def child() -> NoReturn:
        os.write(tell, b"!")
        run()

    try:
        try:
            with quiet() as safe:
                if not safe:
                    raise Busy
                pid = fork_orphan(child, name)
        finally:
            os.close(tell)
        if _may_read(hear) and os.read(hear, 1):
            return pid
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return None
    finally:
        os.close(hear)


def _may_read(descriptor: int) -> bool:
    """Wait until there is something to read, or the other end is closed; False when that takes too long.

    Usually it takes 2 ms, and the interpreter's lock is kept: threads of the notebook that got it meanwhile
    would give it back late.
    """
    wanted = _Poll(descriptor, select.POLLIN)
    if ctypes.PyDLL(None).poll(ctypes.byref(wanted), ctypes.c_ulong(1), _LOCKED_MILLISECONDS) > 0:
        return True
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(_UP_SECONDS * 1000))


class _Poll(ctypes.Structure):
    # struct pollfd of poll(2)
    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


def _settle(descriptors: list[int]) -> list[int]:
    """Cut what ties a fresh child to the kernel; return the descriptors at their new numbers."""
    os.setsid()
    sys.settrace(None)
    sys.setprofile(None)
    leave()
    gc.disable()
    gc.freeze()
    faulthandler.disable()
    _reset_signals()
    kept = _close_all_but(descriptors)
    with suppress(OSError):  # better the child than the kernel, when memory runs out
        Path("/proc/self/oom_score_adj").write_text("1000")
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    return kept


def _reset_signals() -> None:
    with suppress(ValueError):
        signal.set_wakeup_fd(-1)
    ignored: set[Any] = {getattr(signal, name) for name in _IGNORED}
    for number in signal.valid_signals():
        with suppress(OSError, ValueError):  # some cannot be changed
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def _close_all_but(descriptors: list[int]) -> list[int]:
    """Close every descriptor but these, which become 3, 4, 5 …; standard streams lead nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    # Out of the way first: a descriptor may have the number that another is to get.
    moved = [fcntl.fcntl(d, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY) for d in (null, *descriptors)]
    for stream in (0, 1, 2):
        os.dup2(moved[0], stream)
    kept = [os.dup2(d, 3 + place, inheritable=False) for place, d in enumerate(moved[1:])]
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    os.closerange(3 + len(kept), highest + 1)
    return kept
