"""Holding the state of a kernel in a forked child that sleeps while the next cell runs.

fork(2) gives the child a copy of the kernel's memory that the system copies page by page, only where one of
both writes. The child has a session of its own (setsid(2)) and none of the kernel's descriptors, ignores
interrupts, and ends only by `os._exit`, so that no exit handler of the notebook runs. It is not a child of
the kernel: see `orphan`. What it does from then on is in `supervisor`.
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

from respawn_kernels.exchange.messages import MEBIBYTE, Held, HeldChildFiles, Options, process_name
from respawn_kernels.fork.fork_safety import resident_bytes, why_not_fork
from respawn_kernels.fork.memory_budget import Budget
from respawn_kernels.fork.openblas_pause import quiet
from respawn_kernels.fork.orphan import fork_orphan
from respawn_kernels.fork.supervisor import ChildSupervisor, Ends
from respawn_kernels.fork.writer import Capture
from respawn_kernels.originals import getpid, perf_counter

_IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIGTSTP", "SIGUSR1", "SIGUSR2", "SIGXFSZ")
_OUT_OF_THE_WAY = 16
_EXPECTED_SHARE = 16
"""A cell is expected to rewrite a sixteenth of the state; what it does is watched."""
_UP_SECONDS = 3.0
"""A child that has not reported by then is taken to hang."""
_LOCKED_MILLISECONDS = 100
"""How long the interpreter's lock is kept while a child comes up."""
_MAX_FORKS = 3
_given_up: str | None = None
"""Why this kernel is not forked any more: what hangs several times in a row will again."""


class Busy(Exception):
    """Forking now could hang the kernel."""


class NotUp(Exception):
    """The forked children hung before they came to themselves."""


def hold(
    place: HeldChildFiles, capture: Capture, runner: int, options: Options, in_child: Callable[[], None]
) -> Held:
    """Fork a child that holds the present state, if that is safe.

    Args:
        place: the files of this boundary, by which child and runner exchange commands and reports.
        capture: writes the state into the spool when it is called, in a child of the child.
        runner: process id of the runner, the subreaper that adopts the child; the child ends with it.
        options: limits of memory and time, and whether forking is allowed at all.
        in_child: called first in a child, to stop what observes the kernel.

    Returns:
        The child, or the reason why there is none; an error of the system is such a reason, too.
    """
    global _given_up
    started = perf_counter()
    size = resident_bytes()
    reason = _given_up or why_not_fork(size // _EXPECTED_SHARE, options)
    pid = None
    if reason is None:
        try:
            pid = _fork(place, capture, runner, options, started, in_child)
        except Busy:
            reason = (
                "a thread of the notebook computes without a pause, and OpenBLAS may not bear a fork then"
            )
        except NotUp:
            reason = _given_up = "forked children of this kernel hang, as when a lock stays taken in them"
        except OSError as error:
            reason = f"forking was refused: {error.strerror or error}"
    return Held(pid, "none" if pid is None else "fork", reason, perf_counter() - started, size)


def _fork(
    place: HeldChildFiles,
    capture: Capture,
    runner: int,
    options: Options,
    started: float,
    in_child: Callable[[], None],
) -> int:
    kernel = getpid()
    place.fifo.unlink(missing_ok=True)
    os.mkfifo(place.fifo, 0o600)
    # Opened before the fork, so a runner's command always finds a reader (else ENXIO); and for writing too,
    # so that poll(2) reports no hang-up when a runner closes its end. Linux allows that, POSIX does not
    # (fifo(7)).
    descriptors = [os.open(place.fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)]
    # Race: a signal between the fork and `_reset_signals` would run a handler of the notebook in the child.
    signals = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        # A pidfd becomes readable when its process ends, and never means another process (pidfd_open(2)).
        descriptors += [os.pidfd_open(kernel), os.pidfd_open(runner)]

        def child() -> NoReturn:
            pause = perf_counter() - started
            together = options.memory_mb * MEBIBYTE if options.memory_mb else None
            budget = Budget(kernel, together, kernel_limit=options.kernel_memory_bytes)
            ends = Ends(*_settle(descriptors, in_child))
            ChildSupervisor(place, capture, options, budget, ends, pause).run()

        for _ in range(_MAX_FORKS):
            pid = _fork_that_comes_up(child, process_name(place.spool))
            if pid is not None:
                return pid
        raise NotUp
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        for descriptor in descriptors:
            os.close(descriptor)


def _fork_that_comes_up(run: Callable[[], NoReturn], name: str) -> int | None:
    """Fork a child and wait for its first byte; a child that hangs is killed, and None returned.

    Only the thread that forks is in the child (fork(2)), so a lock that another thread held is never released
    there. Python makes its own locks anew, but some versions too late
    (https://github.com/python/cpython/issues/112275), and libraries may not.
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
            os.close(tell)  # now only the child has this end: the pipe closes when the child ends
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
    would give it back late (after `sys.getswitchinterval()`, or at the end of a call into C).
    """
    wanted = _Poll(descriptor, select.POLLIN)
    # Calls by `ctypes.PyDLL` keep the lock, those by `CDLL` and by `select` release it (documentation of
    # ctypes).
    if ctypes.PyDLL(None).poll(ctypes.byref(wanted), ctypes.c_ulong(1), _LOCKED_MILLISECONDS) > 0:
        return True
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(_UP_SECONDS * 1000))


class _Poll(ctypes.Structure):
    # struct pollfd of poll(2)
    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


def _settle(descriptors: list[int], in_child: Callable[[], None]) -> list[int]:
    """Cut what ties a fresh child to the kernel; return the descriptors at their new numbers."""
    os.setsid()  # Jupyter sends signals to the kernel's whole process group
    sys.settrace(None)
    sys.setprofile(None)
    in_child()
    # A collection writes to the header of every object, and so copies the pages of all (see `gc.freeze`).
    gc.disable()
    gc.freeze()
    faulthandler.disable()
    _reset_signals()
    kept = _let_go_of_all_but(descriptors)
    with suppress(OSError):  # when memory runs out, the system kills the child before the kernel (proc(5))
        Path("/proc/self/oom_score_adj").write_text("1000")
    with suppress(OSError, ValueError):  # no core file of the size of the kernel's memory when it crashes
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    return kept


def _reset_signals() -> None:
    with suppress(ValueError):  # the event loop's: a byte written there would wake the kernel's loop
        signal.set_wakeup_fd(-1)
    ignored: set[Any] = {getattr(signal, name) for name in _IGNORED}
    for number in signal.valid_signals():
        with suppress(OSError, ValueError):  # some cannot be changed
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())  # last: what arrived since the fork meets no handler


def _let_go_of_all_but(descriptors: list[int]) -> list[int]:
    """Make every descriptor but these one of /dev/null; return these at the numbers that they have now.

    The kernel's sockets and pipes must not stay open here: who reads from them would wait for this process.
    None is closed: a library may close its own when this process forks the writer, and take it for an error
    that it is closed already. Arrow does so, and ends the process (`SelfPipe`, arrow/util/io_util.cc).
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    kept = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY) for one in descriptors]
    for number in {0, 1, 2, *map(int, os.listdir("/proc/self/fd"))}.difference(kept, [null]):  # noqa: PTH208
        os.dup2(null, number, inheritable=number <= 2)
    return kept
