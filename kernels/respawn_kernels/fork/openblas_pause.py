"""Forking while threads of the notebook compute with OpenBLAS.

A fork ends OpenBLAS's own threads, in the process that forks too: OpenBLAS registers its shutdown with
pthread_atfork(3) (`openblas_fork_handler`, driver/others/memory.c). A call that is just handing work to these
threads is then never answered, and whoever made it or forked waits for ever. So OpenBLAS is set to use one
thread, which holds for calls that begin from then on; those that began before are waited for; and after the
fork it may use as many as before, which the next call starts.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from respawn_kernels.fork import openblas
from respawn_kernels.originals import monotonic

_TIME_LIMIT_SECONDS = 0.3
"""The kernel waits so long at most; there is no held child then."""
_PAUSE_MICROSECONDS = 300
_MAX_ROUNDS = 4


@contextmanager
def quiet() -> Iterator[bool]:
    """Fork inside of this; yields False when a call would not end in time."""
    numbers = [(put, get()) for get, put in openblas.functions()]
    several = [(put, number) for put, number in numbers if number > 1]
    for put, _ in several:
        put(1)
    try:
        yield not several or _calls_ended()
    finally:
        for put, number in several:
            put(number)


def _calls_ended() -> bool:
    """Wait until the calls of other threads that had begun are over.

    We keep the interpreter's lock while we look, so a thread that sleeps then waits for it, or for something
    else that is no computation; or for the lock that OpenBLAS's calls take in turn, hence several rounds.
    """
    # Race: its calls keep the interpreter's lock, unlike those of `os` and `time`: no thread can begin a
    # call.
    library = ctypes.PyDLL(None)
    me = threading.get_native_id()
    others = {thread.native_id for thread in threading.enumerate()} - {me, None}
    over = monotonic() + _TIME_LIMIT_SECONDS
    for _ in range(min(len(others), _MAX_ROUNDS)):
        waiting = others
        while waiting := {thread for thread in waiting if not _sleeps(library, thread)}:
            if monotonic() > over:
                return False
            library.usleep(_PAUSE_MICROSECONDS)
    return True


def _sleeps(library: Any, thread: int | None) -> bool:
    descriptor = library.open(f"/proc/self/task/{thread}/stat".encode(), os.O_RDONLY | os.O_CLOEXEC)
    if descriptor < 0:
        return True  # it ended
    text = ctypes.create_string_buffer(512)
    size = library.read(descriptor, text, len(text))
    library.close(descriptor)
    # The state of proc(5). The name before it may hold spaces and brackets.
    return size <= 0 or text.raw[:size].rpartition(b")")[2].split(None, 1)[0] in (b"S", b"Z", b"X")
