"""How functions of the notebook with `functools.lru_cache` are taken apart, with all that they remember.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import Any

from respawn_kernels.introspection.lru_caches import CACHED, cache_content, fill_cache
from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions."""
    return {CACHED: _cached, functools.cached_property: _cached_property}


def _cached(function: Any, _pickler: NamespacePickler) -> Any:
    module = sys.modules.get(function.__module__)
    if function.__module__ != "__main__" and getattr(module, function.__name__, None) is function:
        return NotImplemented
    made = function.__wrapped__, function.cache_parameters()
    return make_cached, made, cache_content(function), None, None, fill_cached


@stable_name
def make_cached(function: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a function with an empty cache."""
    return functools.lru_cache(**parameters)(function)


@stable_name
def fill_cached(function: Any, state: tuple[list[Any], int, int, dict[str, Any]]) -> None:
    """Fill the cache of a function with its content and statistics, and set the function's attributes."""
    fill_cache(function, state)


def _cached_property(one: Any, _pickler: NamespacePickler) -> Any:
    state = one.func, one.attrname, one.__doc__, vars(one).get("__module__")
    return make_cached_property, (), state, None, None, fill_cached_property


@stable_name
def make_cached_property() -> Any:
    """Return a property that is computed once, of no function yet."""
    return functools.cached_property(_nothing)


@stable_name
def fill_cached_property(one: Any, state: tuple[Any, ...]) -> None:
    """Set the function of such a property; on Python 3.11 it has a lock of its own already.

    From Python 3.12 on it has no lock (documentation of `functools`), but the name of its function's module.
    """
    one.func, one.attrname, one.__doc__, *module = state
    if module and module[0] is not None:
        one.__module__ = module[0]


def _nothing(_instance: Any) -> None: ...
