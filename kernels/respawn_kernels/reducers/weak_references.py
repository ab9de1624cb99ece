"""How weak references are taken apart: they refer to the object that came back, and do not keep it alive.

An object that no variable leads to is gone after a restore; the check of what was written
(`capture.verification`) names a reference to it.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import gc
import pickle
import sys
import weakref
from collections.abc import Mapping
from typing import Any

from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name


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


@stable_name
def make_dead_reference() -> Any:
    """Return a reference to something that is gone."""
    return weakref.ref(_Gone())


def _proxy(proxy: Any, _pickler: NamespacePickler) -> Any:
    try:
        # A proxy forwards the look-up, so the bound method belongs to the object itself.
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
        # Their order is that of addresses. By their places in the memo two captures write the same bytes.
        met = pickler.memo.copy()
        members.sort(key=lambda one: met[id(one)][0] if id(one) in met else sys.maxsize)
    return make_weak_set, (), members, None, None, fill_weak_set


@stable_name
def make_weak_set() -> Any:
    """Return an empty set of weak references."""
    return weakref.WeakSet()


@stable_name
def fill_weak_set(weak: Any, members: list[Any]) -> None:
    """Put members into a set of weak references."""
    weak.update(members)


def _finalizer(finalizer: Any, _pickler: NamespacePickler) -> Any:
    call = finalizer.peek()
    if call is None:
        return make_finalizer, (None, False)
    return make_finalizer, (call, finalizer.atexit)


@stable_name
def make_finalizer(call: Any, atexit: bool) -> Any:
    """Return what calls a function when an object is gone.

    Args:
        call: the object, the function, its arguments and its named arguments (`finalize.peek`); None for one
            that was called already.
        atexit: whether the function is called when the process ends, too.
    """
    if call is None:
        done = weakref.finalize(_make_finalizer_target, print)
        done.detach()
        return done
    target, function, arguments, named = call
    made = weakref.finalize(target, function, *arguments, **(named or {}))
    made.atexit = atexit
    return made


def _make_finalizer_target() -> None: ...
