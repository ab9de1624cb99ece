"""Forking an orphan: a child that its parent never sees, for the price of one fork.

The usual double fork copies the page tables of the kernel twice. Here the process in between shares the
kernel's memory, as with vfork(2): it forks the child, ends, and the child passes to the nearest ancestor that
is a subreaper (a runner, see PR_SET_CHILD_SUBREAPER in prctl(2)). The process in between ends without a
signal, and no `wait` of the notebook can see it. Where that cannot be done, two forks are made.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from respawn_kernels.host.forking import fork, fork_without_warning
from respawn_kernels.host.own_process import set_name, tie_to
from respawn_kernels.originals import getpid

_CLONE_VM, _CLONE_VFORK = 0x100, 0x4000
"""Share the memory; and have the calling thread wait until the new process ends (clone(2))."""
_WALL = 0x40000000
"""Wait for a child that ends without SIGCHLD, too (waitpid(2)): a plain `wait` passes it over."""
_STACK_BYTES = 8 << 20
_FIRST_WITH_STACK_CHECKS = (3, 14)
"""From here on Python compares its stack with the thread's own and takes another one for an overflow."""


def fork_orphan(run: Callable[[], NoReturn], name: str) -> int:
    """Fork a child that is an orphan at once, and return its process id.

    Args:
        run: what the child does, in a copy of this process with this thread alone; it never returns.
        name: what the child is called among the processes from its first moment on; at most 15 bytes, for
            PR_SET_NAME cuts off the rest.

    Raises:
        OSError: there is no memory, or no more processes are allowed; nothing was left behind.
    """
    clone = _clone()
    return _fork_twice(run, name) if clone is None else _fork_beside(clone, run, name)


@cache
def _clone() -> Any | None:
    if sys.version_info >= _FIRST_WITH_STACK_CHECKS:
        return None
    try:
        return ctypes.PyDLL(None, use_errno=True).clone
    except (AttributeError, OSError):
        return None


def _fork_beside(clone: Any, run: Callable[[], NoReturn], name: str) -> int:
    """Fork from a process that shares our memory while this thread waits for it."""
    made: list[int | BaseException] = []
    kernel = getpid()

    def between(_: object) -> int:
        # This process has one thread, so Python does not warn of others, as it does from 3.12 on.
        # It must not outlive the kernel, whose memory it uses; the child that it forks does not inherit that.
        try:
            set_name(name)
            pid = fork() if tie_to(kernel) else -1
        except BaseException as error:  # noqa: BLE001  nothing may leave this frame: its process ends with it
            made.append(error)
            return 0
        if pid == 0:
            _never_return(run)
        made.append(pid)
        return 0

    # A private map: the child writes to a copy of this stack.
    stack = mmap.mmap(-1, _STACK_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    bottom = ctypes.c_char.from_buffer(stack)
    # Stacks grow downwards (clone(2)); 64 is a multiple of the alignment that each ABI wants.
    top = (ctypes.addressof(bottom) + _STACK_BYTES) & ~63
    entry = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(between)
    try:
        process = clone(entry, ctypes.c_void_p(top), _CLONE_VM | _CLONE_VFORK, None)
        if process < 0:
            return _fork_twice(run, name)
        os.waitpid(process, _WALL)
    finally:
        del bottom  # a map that exports memory cannot be closed
        stack.close()
    if not made:
        raise OSError("the held child could not be forked")
    if isinstance(made[0], BaseException):
        raise made[0]
    return made[0]


def _fork_twice(run: Callable[[], NoReturn], name: str) -> int:
    reader, writer = os.pipe()
    try:
        between = fork_without_warning()
        if between == 0:
            try:
                set_name(name)
                pid = fork()
                if pid == 0:
                    _never_return(run)
                os.write(writer, str(pid).encode())
            finally:
                os._exit(0)
        os.waitpid(between, 0)
        # It has ended, so the number is in the pipe or never will be; the child has the other end open still.
        os.set_blocking(reader, False)
        try:
            return int(os.read(reader, 32))
        except BlockingIOError:
            raise OSError("the held child could not be forked") from None
    finally:
        os.close(reader)
        os.close(writer)


def _never_return(run: Callable[[], NoReturn]) -> NoReturn:
    try:
        run()
    finally:
        os._exit(70)
