"""How weak references are taken apart: they refer to what came back, and hold it no more than before.

What only the process kept alive and no variable leads to is gone after a restore; the check of what was
written (`checking`) names such a reference.

Functions named `make_…` are what streams call when they are loaded: old checkpoints need them, so they stay.
"""

from __future__ import annotations

import gc
import pickle
import sys
import weakref
from collections.abc import Mapping
from typing import Any

from respawn_kernels.pickling import NamespacePickler, Reducer


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions."""
    return {
        weakref.ReferenceType: _reference,
        weakref.ProxyType: _proxy,
        weakref.CallableProxyType: _proxy,
        weakref.WeakMethod: _method,
        weakref.WeakValueDictionary: _dictionary,
        weakref.WeakKeyDictionary: _dictionary,
        weakref.WeakSet: _set,
        weakref.finalize: _finalizer,
    }


class _Gone:
    """An object that is not there any more."""


def _reference(reference: Any, _pickler: NamespacePickler) -> Any:
    target = reference()
    if target is None:
        return make_dead_reference, ()
    callback = reference.__callback__
    return weakref.ref, (target,) if callback is None else (target, callback)


def make_dead_reference() -> Any:
    """Return a reference to something that is gone."""
    return weakref.ref(_Gone())


def _proxy(proxy: Any, _pickler: NamespacePickler) -> Any:
    try:
        target = proxy.__repr__.__self__
    except (ReferenceError, AttributeError):
        raise pickle.PicklingError("a weak proxy of an object that is gone") from None
    if not any(one is proxy for one in weakref.getweakrefs(target)):
        raise pickle.PicklingError("a weak proxy of an object that answers for another one")
    callbacks = [one for one in gc.get_referents(proxy) if callable(one) and not isinstance(one, type)]
    return weakref.proxy, (target, *callbacks[:1])


def _method(method: Any, _pickler: NamespacePickler) -> Any:
    bound = method()
    if bound is None:
        raise pickle.PicklingError("a weak reference to a method of an object that is gone")
    return weakref.WeakMethod, (bound,)


def _dictionary(dictionary: Any, _pickler: NamespacePickler) -> Any:
    return type(dictionary), (), None, None, iter(list(dictionary.items()))


def _set(weak: Any, pickler: NamespacePickler) -> Any:
    members = list(weak)
    if len(members) > 1:
        # They are in an order of addresses; what was met before has one that can be compared.
        met = pickler.memo.copy()
        members.sort(key=lambda one: met[id(one)][0] if id(one) in met else sys.maxsize)
    return make_weak_set, (), members, None, None, fill_weak_set


def make_weak_set() -> Any:
    """Return an empty set of weak references."""
    return weakref.WeakSet()


def fill_weak_set(weak: Any, members: list[Any]) -> None:
    """Put members into a set of weak references."""
    weak.update(members)


def _finalizer(finalizer: Any, _pickler: NamespacePickler) -> Any:
    told = finalizer.peek()
    if told is None:
        return make_finalizer, (None, False)
    return make_finalizer, (told, finalizer.atexit)


def make_finalizer(told: Any, atexit: bool) -> Any:
    """Return what calls a function when an object is gone; one that is done for None."""
    if told is None:
        done = weakref.finalize(_make_finalizer_target, print)
        done.detach()
        return done
    target, function, arguments, named = told
    made = weakref.finalize(target, function, *arguments, **(named or {}))
    made.atexit = atexit
    return made


def _make_finalizer_target() -> None: ...
