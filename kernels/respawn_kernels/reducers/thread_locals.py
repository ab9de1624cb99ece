"""How thread-local data is taken apart: what the thread that runs the cells has in it.

What other threads have in it goes with them, for no thread comes back. A thread that comes later begins as it
would have: with nothing, or with what `__init__` of a subclass sets.

Streams call the function with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import gc
import pickle
import sys
import threading
from collections.abc import Mapping
from types import MemberDescriptorType
from typing import Any

from respawn_kernels.introspection.class_tree import subclasses
from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name

_OWN_WAYS = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for the classes of thread-local data that there are."""
    return dict.fromkeys([threading.local, *subclasses(threading.local)], _local)


def _local(local: Any, _pickler: NamespacePickler) -> Any:
    kind = type(local)
    added = kind.__mro__[: kind.__mro__.index(threading.local)]
    if any(name in vars(one) for one in added for name in _OWN_WAYS):
        return NotImplemented
    if any(isinstance(value, MemberDescriptorType) for one in added for value in vars(one).values()):
        raise pickle.PicklingError("thread-local data with slots, which all threads share")
    if threading.current_thread() is not threading.main_thread():
        raise pickle.PicklingError("thread-local data, looked at from another thread")
    inside = _inside(local)
    if sys.getrefcount(inside) > _OURS:  # a later thread-local has a `__dict__` of its own
        raise pickle.PicklingError("thread-local data whose `__dict__` others refer to")
    return make_thread_local, (kind, *_given(local)), dict(inside) or None


def _inside(local: Any) -> Any:
    return threading.local.__getattribute__(local, "__dict__")


def _calibrate() -> int:
    """Return how many references Python has to a `__dict__` that nobody else refers to."""
    local = threading.local()
    inside = _inside(local)
    return sys.getrefcount(inside)


def _given(local: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what `__init__` is called with in each new thread.

    No attribute has it, but the garbage collector visits it.
    """
    arguments: tuple[Any, ...] = ()
    named: dict[str, Any] = {}
    for one in gc.get_referents(local):
        if type(one) is tuple:
            arguments = one
        elif (
            type(one) is dict and one and all(type(name) is str for name in one)
        ):  # else one of weak references
            named = one
    return arguments, named


@stable_name
def make_thread_local(kind: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Return thread-local data that has nothing in it yet.

    Args:
        kind: its class.
        arguments: what its `__init__` is called with in other threads.
        named: the same, by keyword.
    """
    return threading.local.__new__(kind, *arguments, **named)


_OURS = _calibrate()
