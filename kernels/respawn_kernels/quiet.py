"""Forking while threads of the notebook compute with OpenBLAS.

A fork ends OpenBLAS's own threads, in the process that forks too. A call that is just handing work to them
is then never answered, and whoever made it or forked waits for ever. So OpenBLAS is told to use one thread,
which holds for calls that begin from then on; those that began before are waited for; and after the fork it
gets back the threads that it had.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from respawn_kernels import blas

_PATIENCE_SECONDS = 0.3
_PAUSE_SECONDS = 0.0005
_MOST_ROUNDS = 4


@contextmanager
def quiet() -> Iterator[bool]:
    """Fork inside of this; yields False when a call would not end in time."""
    numbers = [(put, get()) for get, put in blas.functions()]
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

    We have the interpreter's lock whenever we look, so a thread that sleeps then waits for it, or for
    something else that is no computation; or for the lock that OpenBLAS's calls take in turn, hence several
    rounds.
    """
    me = threading.get_native_id()
    others = {thread.native_id for thread in threading.enumerate()} - {me, None}
    over = time.monotonic() + _PATIENCE_SECONDS
    for _ in range(min(len(others), _MOST_ROUNDS)):
        waiting = others
        while waiting := {thread for thread in waiting if not _sleeps(thread)}:
            if time.monotonic() > over:
                return False
            time.sleep(_PAUSE_SECONDS)
    return True


def _sleeps(thread: int | None) -> bool:
    try:
        with open(f"/proc/self/task/{thread}/stat", "rb") as file:  # noqa: PTH123
            return file.read().rpartition(b")")[2].split(None, 1)[0] in (b"S", b"Z", b"X")
    except OSError:  # it ended
        return True
