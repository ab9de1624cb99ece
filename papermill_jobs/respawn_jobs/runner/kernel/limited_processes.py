"""The processes of one kernel, found and ended all together: also those that its cells have set free.

A process that starts a session of its own and whose parent ends is nobody's descendant any more. A control
group still has it; else it is told by the runner, which adopts it (see `warm.adoption`).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

from respawn_jobs.host import process_tree
from respawn_jobs.host.control_groups import ControlGroup

_END_SECONDS = 10.0
_PAUSE = 0.005
_watched: set[int] = set()
"""The kernels whose processes are looked for: where there are several, nobody knows whose a stray was."""
_spared: dict[int, int | None] = {}
"""Children of this process that are no cell's, with when each began."""


def spare(pid: int) -> None:
    """Say that a child of this process is no stray of a kernel: a zygote, or a kernel that it has forked."""
    for known in [one for one, began in list(_spared.items()) if process_tree.started(one) != began]:
        _spared.pop(known, None)
    _spared[pid] = process_tree.started(pid)


class KernelProcesses:
    """A kernel and all that it has started, but for held children."""

    def __init__(self, kernel: int, held: str, group: ControlGroup | None) -> None:
        """Begin to know them.

        Args:
            kernel: process id of the kernel; it leads a session of its own and is a child of this process.
            held: what its held children and their writers are called.
            group: the control group that they are in; None where there is none.
        """
        self._kernel = kernel
        self._held = held
        self._group = group
        self._started = process_tree.started(kernel)
        self._before = set(process_tree.children_of(os.getpid()))
        _watched.add(kernel)

    def forget(self) -> None:
        """Know them no more."""
        _watched.discard(self._kernel)

    @property
    def kernel_lives(self) -> bool:
        """Whether the kernel is there; the number of one that ended is given to another process in time."""
        return process_tree.started(self._kernel) == self._started

    def all(self) -> list[int]:
        """Return their ids, zombies too."""
        roots = [self._kernel] if self.kernel_lives else []
        found = dict.fromkeys(process_tree.family(self._kernel, os.getpid()) if roots else ())
        if self._group is None:
            found |= dict.fromkeys(process_tree.with_descendants(self._strays()))
        else:
            with suppress(OSError):
                found |= dict.fromkeys(self._group.pids())
        return [pid for pid in found if pid == self._kernel or process_tree.name_of(pid) != self._held]

    def end(self) -> None:
        """End them all: stopped first, so that none forks meanwhile, and killed then."""
        give_up = time.monotonic() + _END_SECONDS
        stopped: set[int] = set()
        while (new := [pid for pid in self.all() if pid not in stopped]) and time.monotonic() < give_up:
            _signal(new, signal.SIGSTOP)
            stopped |= set(new)
        while time.monotonic() < give_up:
            _signal(self.all(), signal.SIGKILL)
            self.reap()
            # A zombie has no memory; one that this process has adopted is to be reaped all the same.
            if not self._strays() and not any(process_tree.resident_bytes(pid) for pid in self.all()):
                return
            time.sleep(_PAUSE)

    def reap(self) -> None:
        """Take away what is left of strays that have ended."""
        for pid in self._strays():
            with suppress(OSError):
                os.waitpid(pid, os.WNOHANG)

    def _strays(self) -> list[int]:
        """Return the processes that this one has adopted meanwhile, as far as they are the kernel's."""
        if len(_watched) != 1:
            return []
        children = process_tree.children_of(os.getpid())
        return [
            pid
            for pid in children
            if pid != self._kernel
            and pid not in self._before
            and process_tree.name_of(pid) != self._held
            and (pid not in _spared or _spared[pid] != process_tree.started(pid))
        ]


def shared_with_held_children(name: str) -> int:
    """Return how many bytes of a kernel's its held children have as well, and so count half for each.

    Args:
        name: what they are called among the processes.
    """
    ours = process_tree.children_of(os.getpid())
    held = process_tree.with_descendants(pid for pid in ours if process_tree.name_of(pid) == name)
    found = [memory for memory in map(process_tree.memory, held) if memory is not None]
    return sum(memory.total - memory.private for memory in found if memory.measure == "pss")


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
