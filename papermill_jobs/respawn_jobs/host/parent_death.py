"""Ties the life of a process to that of the one which started it."""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Ask the system to kill this process when the thread that started it is gone, however it ends.

    Args:
        parent: the id of the process that is to be this one's parent; ends at once when it is not.

    Raises:
        SystemExit: the parent was gone already.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # Race: it was gone before the line above.
        raise SystemExit(0)
