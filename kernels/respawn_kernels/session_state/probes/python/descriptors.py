"""Variables that are numbers of what ends with its process: open descriptors, child processes.

`r, w = os.pipe()` and `pid = os.fork()` give integers, which come back as numbers of whatever is there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.namespace import live_shell
from respawn_kernels.session_state.patching import mentioned_words, named_pairs
from respawn_kernels.session_state.probe.interface import Lost, Marks, Parts

_OPEN = "/proc/self/fd"
_TASKS = "/proc/self/task"
_GIVE_DESCRIPTORS = frozenset(
    [
        *("pipe", "pipe2", "openpty", "memfd_create", "eventfd", "timerfd_create", "pidfd_open", "mkstemp"),
        *("dup", "dup2", "detach", "fileno", "forkpty"),
    ]
)
_GIVE_PROCESSES = frozenset(["fork", "forkpty", "posix_spawn", "posix_spawnp", "spawnl", "spawnv", "pid"])
"""Functions and attributes: a cell that names one of them may have such a number."""
_MAX, _DEEPEST = 16, 3
"""So many items of what a variable holds are looked at, and so deep."""
_KINDS = {stat.S_IFIFO: "pipe", stat.S_IFREG: "file", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device"}


class Descriptors:
    """Variables that are such numbers, of what was opened or started since the session began."""

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
            what = "is the number of" if len(numbers) == 1 else "has the numbers of"
            why = f"it {what} {_kind(numbers[0])}, which ends with the kernel"
            found[name] = Lost(why, type(value).__name__, name)
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Do nothing: there is nothing to restore."""

    def _found(self) -> Iterator[tuple[str, Any, list[int]]]:
        words, there = mentioned_words(), set[int]()
        if not _GIVE_DESCRIPTORS.isdisjoint(words) or ("os", "open") in named_pairs():
            there |= _open_now() - self._start
        if not _GIVE_PROCESSES.isdisjoint(words):
            there |= _children()
        if not there:
            return
        for name, value in list(getattr(live_shell(), "user_ns", {}).items()):
            if not name.startswith("_") and (numbers := list(_numbers_in(value, there, _DEEPEST))):
                yield name, value, numbers


def _numbers_in(value: Any, there: set[int], depth: int) -> Iterator[int]:
    """Return such numbers in a value, in what it holds, and in attributes of the notebook's objects."""
    kind = type(value)
    parts: Iterable[Any] = ()
    if kind is int:
        if value in there:
            yield value
    elif kind in (tuple, list):
        parts = value
    elif kind is dict:
        parts = list(value.values())
    elif kind is SimpleNamespace or is_notebooks(kind):
        with suppress(AttributeError):
            parts = list(object.__getattribute__(value, "__dict__").values())
    if depth:
        for one in islice(parts, _MAX):
            yield from _numbers_in(one, there, depth - 1)


def _kind(number: int) -> str:
    if number in _children():
        return "a child process"
    return f"an open {_KINDS.get(stat.S_IFMT(os.fstat(number).st_mode), 'descriptor')}"


def _open_now() -> set[int]:
    """Return the open descriptors, without that of the directory which is read for it."""
    try:
        numbers = [int(one.name) for one in Path(_OPEN).iterdir()]
    except OSError:  # not Linux
        return set()
    return {number for number in numbers if _is_open(number)}


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _children() -> set[int]:
    """Return the ids of the child processes, those included that ended and nobody has waited for."""
    found: set[int] = set()
    with suppress(OSError):  # not Linux, or a thread ended meanwhile
        for task in Path(_TASKS).iterdir():
            found |= set(map(int, (task / "children").read_text().split()))
    return found
