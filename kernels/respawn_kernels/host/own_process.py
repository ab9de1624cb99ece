"""What a process asks of the system for itself: to end with its parent, and how it is called (prctl(2)).

Limits: a process ends with the thread that made it, also where the rest of that thread's process goes on; and
Linux alone ends it. Elsewhere it only sees whether the parent is there.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from respawn_kernels.originals import getppid

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
# Found before any fork: a child of a process with threads must not load libraries. PyDLL keeps the
# interpreter's lock: one process calls this while it shares the memory of its parent (`fork.orphan`).
_prctl = ctypes.PyDLL(None).prctl if sys.platform == "linux" else None


def tie_to(parent: int, by: int = signal.SIGKILL) -> bool:
    """Have the system signal this process when its parent ends, however that ends.

    Args:
        parent: the parent's process id, as it was before this process was made.
        by: the signal.

    Returns:
        Whether that parent is there still; else nothing will tell of its end.
    """
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, by)
    return getppid() == parent  # Race: it may have ended before the line above.


def die_with(parent: int, by: int = signal.SIGKILL) -> None:
    """Have this process end with its parent; it ends at once where the parent is gone.

    Args:
        parent: the parent's process id, as it was before this process was made.
        by: the signal that ends it.
    """
    if not tie_to(parent, by):
        os._exit(1)


class DiesWithParent:
    """What a child does between fork and program (`preexec_fn`), so that it ends with this process."""

    def __init__(self, by: int = signal.SIGKILL) -> None:
        """Take this process as the parent.

        Args:
            by: the signal that ends the child.
        """
        self._parent = os.getpid()
        self._by = by

    def __call__(self) -> None:
        """Tie the process that calls it."""
        die_with(self._parent, self._by)


def set_name(name: str) -> None:
    """Set how this process is called among others; nothing happens but on Linux.

    Args:
        name: at most 15 bytes count: the system cuts off the rest.
    """
    if _prctl is not None:
        _prctl(_PR_SET_NAME, os.fsencode(name))
