"""A moment in which no other thread of the notebook computes, to fork in.

A fork ends OpenBLAS's threads, in the process that forks too. A call of the notebook that is just handing
work to them is then never answered, and the fork waits for ever. While this thread has the interpreter's lock,
others finish what they compute in C and wait for the lock; once all of them sleep, nobody is in such a call.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_TURN_SECONDS = 0.05
"""How long this thread may have the lock before others may ask for it."""
_LOOK_SECONDS = 0.035
_TURNS = 6
_REST_MICROSECONDS = 300


@contextmanager
def quiet() -> Iterator[bool]:
    """Fork inside of this; yields False when other threads would not come to rest.

    For the time being threads ask for the interpreter's lock more rarely: from the moment that this one has
    got it, nobody asks for so long.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield any(_all_sleep() for _ in range(_TURNS))
    finally:
        sys.setswitchinterval(interval)


def _all_sleep() -> bool:
    """Take the lock anew, and wait with it until the other threads sleep."""
    time.sleep(0)
    over = time.monotonic() + _LOOK_SECONDS
    me = threading.get_native_id()
    others = [thread.native_id for thread in threading.enumerate() if thread.native_id not in (None, me)]
    while time.monotonic() < over:
        if all(map(_sleeps, others)) and all(map(_sleeps, others)):
            return True
        _rest(_REST_MICROSECONDS)
    return False


def _rest(microseconds: int) -> None:
    """Leave the processor to others, and keep the lock."""
    ctypes.PyDLL(None).usleep(microseconds)


def _sleeps(thread: int | None) -> bool:
    try:
        with open(f"/proc/self/task/{thread}/stat", "rb") as file:  # noqa: PTH123
            return file.read().rpartition(b")")[2].split(None, 1)[0] in (b"S", b"Z", b"X")
    except OSError:  # it ended
        return True
