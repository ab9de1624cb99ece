"""How locks that nobody holds and other small objects of the standard library are taken apart.

Events, conditions, semaphores and queues are made of locks and come back with them. A lock that is held is
refused: the thread that would release it is not there after a restore.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import pickle
import random
import re
import struct
import sys
import threading
from collections.abc import Mapping
from typing import Any

from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name

_LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions."""
    return {
        **{_LOCK: _lock, _RLOCK: _rlock, struct.Struct: _struct, re.Match: _match},
        random.SystemRandom: _system_random,
        **dict.fromkeys(_shared_memory(), _refused),
    }


def _shared_memory() -> list[type]:
    """Return the classes of memory that is gone with the processes that share it."""
    module = sys.modules.get("multiprocessing.shared_memory")
    found = (getattr(module, name, None) for name in ("SharedMemory", "ShareableList"))
    return [cls for cls in found if isinstance(cls, type)]


def _refused(_one: Any, _pickler: NamespacePickler) -> Any:
    # Pickle stores the name alone, and whoever made the memory removes it when its process ends.
    raise pickle.PicklingError("memory that is shared with other processes")


def _lock(lock: Any, _pickler: NamespacePickler) -> Any:
    if lock.locked():
        raise pickle.PicklingError("a lock that is held")
    return make_lock, ()


def _rlock(lock: Any, _pickler: NamespacePickler) -> Any:
    # Before Python 3.14 there is no `RLock.locked`, and acquiring it would succeed in the thread that holds
    # it.
    if not repr(lock).startswith("<unlocked"):
        raise pickle.PicklingError("a lock that is held")
    return make_rlock, ()


@stable_name
def make_lock() -> Any:
    """Return a lock that nobody holds."""
    return threading.Lock()


@stable_name
def make_rlock() -> Any:
    """Return a lock that nobody holds and that a thread may acquire several times."""
    return threading.RLock()


def _struct(one: struct.Struct, _pickler: NamespacePickler) -> Any:
    return struct.Struct, (one.format,)


def _system_random(_one: Any, _pickler: NamespacePickler) -> Any:
    return random.SystemRandom, ()


def _match(match: Any, _pickler: NamespacePickler) -> Any:
    parts = match.re, match.string, match.pos, match.endpos, match.regs
    if make_match(*parts) is None:
        raise pickle.PicklingError("a match that cannot be found again")
    return make_match, parts


@stable_name
def make_match(pattern: Any, text: Any, start: int, end: int, regs: tuple[tuple[int, int], ...]) -> Any:
    """Return the match of a pattern that has these groups; None when there is none.

    A match cannot be made, only found again: which function found it is not known.

    Args:
        pattern: the compiled pattern.
        text: in which it was found, text or bytes.
        start: where the search began (`pos`), in characters or bytes.
        end: where it ended (`endpos`).
        regs: first and last place of each group, the whole match first (`Match.regs`).
    """
    for how in (pattern.match, pattern.fullmatch):
        found = how(text, start, end)
        if found is not None and found.regs == regs:
            return found
    return next((found for found in pattern.finditer(text, start, end) if found.regs == regs), None)
