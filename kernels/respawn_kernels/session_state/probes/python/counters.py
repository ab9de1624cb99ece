"""Counters that libraries keep: without them the ids, names and places that libraries give would come twice.

Two kinds are known: an `itertools.count` (or what draws from one), and an int of a module or class that the
module's own code adds to and never takes from. Which ints grew is found by comparing them with what the
import left, which takes milliseconds where pandas is loaded, so `capture` alone does it.
Limits: counters in C (the names of asyncio's tasks), in closures, and in objects that a module keeps.
"""

from __future__ import annotations

import dis
import re
import sys
import threading
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from itertools import islice
from types import CodeType, ModuleType
from typing import Any

from respawn_kernels.originals import getpid, getppid
from respawn_kernels.session_state.patching import baseline
from respawn_kernels.session_state.patching.class_attributes import attributes_of
from respawn_kernels.session_state.patching.iterator_counts import count_in, number_of
from respawn_kernels.session_state.probe.interface import NotSet

Place = tuple[str, str, str]
"""A module, a class in it (or nothing), and the attribute."""

_MAX = 10_000_000
"""Greater numbers are times, sizes and addresses; so much can be drawn from a count in half a second."""
_LEFT_ALONE = frozenset(
    [
        *("IPython", "ipykernel", "jupyter_client", "jupyter_core", "traitlets", "comm", "zmq", "tornado"),
        *("debugpy", "_pydevd_bundle", "pydevd", "prompt_toolkit", "matplotlib_inline"),
    ]
)
"""The kernel's own."""
_OF_THE_PROCESS = re.compile(r"(^|_)(p?pid|tid|fds?|fileno|ident|port|sock|socket)($|_)", re.IGNORECASE)


class Counters:
    """Counters of installed modules and of their classes.

    Those of modules beside the notebook come back with all that these hold.
    """

    name = "#counters"
    before_fork = False

    def __init__(self) -> None:
        self._waiting: dict[Place, int] = {}
        """What was restored of modules that are not loaded."""
        self._kernel = getpid()

    def fingerprint(self) -> Hashable:
        """Return nothing: no cell depends on another one that draws a number."""
        if self._waiting:
            self._set_waiting()
        return None

    def capture(self) -> dict[Place, int] | None:
        """Return the counters that are further than they were when their module's import ended."""
        baseline.look()
        return {**self._waiting, **dict(_further(self._kernel))} or None

    def restore(self, value: dict[Place, int], shell: Any | None) -> None:
        """Set those that are behind; of a module that is not loaded yet, when it is.

        Raises NotSet with those that could not be set.
        """
        baseline.look()
        self._waiting = dict(value)
        if self not in baseline.listeners:
            baseline.listeners.append(self)
        if failed := self._set_waiting():
            raise NotSet(failed)

    def import_began(self) -> None:
        """Do nothing: see `import_ended`."""

    def import_ended(self, *, local: bool) -> None:
        """Set counters of modules that are loaded now."""
        self._set_waiting()

    def _set_waiting(self) -> dict[str, str]:
        failed: dict[str, str] = {}
        for place, number in list(self._waiting.items()):
            if place[0] not in sys.modules:
                continue
            del self._waiting[place]
            try:
                _set(place, number)
            except (AttributeError, TypeError) as error:  # another version, or it is not to be set
                failed[".".join(filter(None, place))] = f"{type(error).__name__}: {error}"
        return failed


def _further(kernel: int) -> Iterator[tuple[Place, int]]:
    """Return the places and numbers of counters that are further than at the end of their import."""
    others = {kernel, getpid(), getppid(), *(one.native_id for one in threading.enumerate())}
    for place, before, now in _numbers():
        if type(now) is int:
            grew = 0 <= before < now < _MAX and now not in others and not _OF_THE_PROCESS.search(place[2])
            if grew and _is_added_to(sys.modules[place[0]], place[2]):
                yield place, now
        elif (number := number_of(now)) is not None and before < number < _MAX:
            yield place, number


def _numbers() -> Iterator[tuple[Place, int, Any]]:
    """Return what may be a counter: its place, the number when the import ended, and the value now."""
    for place, number in list(baseline.counts.items()):
        owner = _owner(*place[:2])
        if owner is not None and _counts(place[0]):
            yield place, number, _inside(owner).get(place[2])
    for (module, cls), (owner, numbers) in list(baseline.numbers.items()):
        if _counts(module) and _owner(module, cls) is owner:
            for key, was, now in _grown(numbers, _inside(owner)):
                yield (module, cls, key), was, now


def _grown(before: Mapping[str, int], now: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Return the ints that are greater than they were: name, before and now."""
    for key, value in before.items():
        if type(other := now.get(key)) is int and other > value:
            yield key, value, other


def _counts(module: str) -> bool:
    return module.partition(".")[0] not in _LEFT_ALONE and not baseline.is_local(module)


def _set(place: Place, number: int) -> None:
    module, cls, name = place
    owner = _owner(module, cls)
    now = _inside(owner).get(name) if owner is not None else None
    if type(now) is int:
        if now < number:
            # The class's metaclass is not asked, nor is the module's class.
            (type if cls else ModuleType).__setattr__(owner, name, number)
    elif (behind := number_of(now)) is not None and behind < number:
        # In its place there may be others who draw from the same one.
        deque(islice(count_in(now), number - behind), maxlen=0)


def _owner(module: str, cls: str) -> Any:
    """Return a module or a class in it; None where it is gone."""
    owner: Any = sys.modules.get(module)
    for part in cls.split(".") if cls else ():
        owner = None if owner is None else _inside(owner).get(part)
    return owner if not cls or issubclass(type(owner), type) else None


def _inside(owner: Any) -> Any:
    return attributes_of(owner) if issubclass(type(owner), type) else getattr(owner, "__dict__", {})


def _is_added_to(module: ModuleType, name: str) -> bool:
    """Return whether a module's code adds to a variable or attribute of a name, and never takes from it.

    An int that grew may be anything: a limit, a number of open files, a stage of initialization.
    """
    spec = getattr(module, "__spec__", None)
    try:
        whole = spec.loader.get_code(spec.name)  # type: ignore[union-attr]
    except (AttributeError, ImportError, OSError, ValueError):
        return False  # it is written in C, or its file is gone
    signs: set[str] = set()
    waiting: list[CodeType] = [] if whole is None else [whole]
    while waiting:
        code = waiting.pop()
        waiting += [one for one in code.co_consts if type(one) is CodeType]
        if name in code.co_names:
            signs.update(_signs(code, name))
    return "+" in signs and "-" not in signs


def _signs(code: CodeType, name: str) -> Iterator[str]:
    """Return the operators of one letter whose results are stored under a name: `n += 1`, `n = n + 1`."""
    sign = ""
    for one in dis.get_instructions(code):
        if one.opname == "BINARY_OP":
            sign = one.argrepr[:1]
        elif one.opname in ("STORE_GLOBAL", "STORE_ATTR") and one.argval == name:
            yield sign
        elif one.opname not in _BETWEEN:
            sign = ""


_BETWEEN = ("SWAP", "COPY", "CACHE", "LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_GLOBAL", "LOAD_DEREF")
"""What comes between a sum and where it is stored."""
