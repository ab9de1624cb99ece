"""Open descriptors that the notebook knows by their numbers: `r, w = os.pipe()`. None of them comes back."""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

from respawn_kernels.names import live_shell
from respawn_kernels.session_state.patching import mentioned_words, named_pairs
from respawn_kernels.session_state.probe import Lost, Marks, Parts

_OPEN = "/proc/self/fd"
_GIVE_NUMBERS = frozenset(
    [
        *("pipe", "pipe2", "openpty", "memfd_create", "eventfd", "timerfd_create", "pidfd_open", "mkstemp"),
        *("dup", "dup2", "detach", "fileno", "forkpty"),
    ]
)
"""Functions whose names tell that a cell may have the number of a descriptor."""
_MOST = 16
_KINDS = {stat.S_IFIFO: "pipe", stat.S_IFREG: "file", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device"}


class Descriptors:
    """Variables that are numbers of descriptors which were opened since the session began."""

    name = "#descriptors"

    def __init__(self) -> None:
        self._start = _open_now()

    def fingerprint(self) -> Hashable:
        """Return which variables they are."""
        return Marks((name, tuple(numbers)) for name, _, numbers in self._found())

    def capture(self) -> Parts | None:
        """Return what is lost."""
        found = Parts()
        for name, value, numbers in self._found():
            kind = _KINDS.get(stat.S_IFMT(os.fstat(numbers[0]).st_mode), "descriptor")
            what = "is the number of" if len(numbers) == 1 else "has the numbers of"
            why = f"it {what} an open {kind}, which ends with its process"
            found[name] = Lost(why, type(value).__name__, name)
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Do nothing: there is nothing to restore."""

    def _found(self) -> Iterator[tuple[str, Any, list[int]]]:
        if _GIVE_NUMBERS.isdisjoint(mentioned_words()) and ("os", "open") not in named_pairs():
            return
        new = _open_now() - self._start
        for name, value in list(getattr(live_shell(), "user_ns", {}).items()):
            values = value[:_MOST] if type(value) in (tuple, list) else [value]
            numbers = [one for one in values if type(one) is int and one in new and _is_open(one)]
            if numbers and not name.startswith("_"):
                yield name, value, numbers


def _open_now() -> set[int]:
    try:
        return {int(one.name) for one in Path(_OPEN).iterdir()}
    except OSError:  # not Linux
        return set()


def _is_open(number: int) -> bool:
    """Tell whether a descriptor is open still: the directory's own was, while it was listed."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
