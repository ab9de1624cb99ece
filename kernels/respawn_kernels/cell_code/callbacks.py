"""What functions of the notebook may change that libraries call: handlers, hooks, replaced functions.

A cell that never names a variable changes it all the same when NumPy calls the function that `seterrcall` was
given. Whatever the session's state holds of the notebook may be called in any cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

from respawn_kernels.cell_code.mentioned_names import named_by

_MAX = 5_000
_DEEPEST = 3
"""Steps into objects of libraries, which refer to more and more of their library."""
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_module_of: Any = type.__dict__["__module__"].__get__
"""Of a class; its metaclass is not asked."""


def named_by_callbacks(parts: Iterable[Any]) -> set[str] | None:
    """Return the global names that functions of the notebook mention which parts of the state hold.

    Args:
        parts: values of the session's state.

    Returns:
        The names; None when one of them may reach any variable, or there are too many functions.
    """
    names: set[str] = set()
    for count, one in enumerate(_held(parts)):
        found = named_by(one) if count < _MAX else None
        if found is None:
            return None
        names |= found
    return names


def _held(parts: Iterable[Any]) -> Iterator[Any]:
    """Return functions, classes and instances of the notebook, through containers, methods and objects."""
    waiting, seen = [(one, 0) for one in parts], set[int]()
    while waiting:
        one, depth = waiting.pop()
        kind = type(one)
        if kind in _PLAIN or id(one) in seen:
            continue
        seen.add(id(one))
        module = (
            one.__module__ if kind is FunctionType else _module_of(one if issubclass(kind, type) else kind)
        )
        if module == "__main__":
            yield one
        elif (inside := _parts(one, kind)) is not None:
            waiting += [(part, depth) for part in inside]
        elif depth < _DEEPEST:
            waiting += [(part, depth + 1) for part in _attributes(one, kind)]


def _parts(one: Any, kind: type) -> Iterable[Any] | None:
    """Return what a method, a partial function or a container consists of; None for what is none of these."""
    if kind is MethodType:
        return one.__func__, one.__self__
    if issubclass(kind, partial):
        return one.func, *one.args, *one.keywords.values()
    if issubclass(kind, list | tuple | set | frozenset):
        return _elements(one)
    if issubclass(kind, dict):
        return *dict.keys(one), *dict.values(one)
    return None


def _attributes(one: Any, kind: type) -> Iterable[Any]:
    """Return those of a library's object: a handler has its filters, an option what is told of changes."""
    if issubclass(kind, type | ModuleType | FunctionType):
        return ()
    try:
        attributes = object.__getattribute__(one, "__dict__")
    except AttributeError:
        return ()
    return tuple(attributes.values()) if type(attributes) is dict else ()


def _elements(those: Any) -> Iterable[Any]:
    """Return what is in a list, tuple or set; a subclass may answer for itself otherwise."""
    kind = next(one for one in (list, tuple, set, frozenset) if isinstance(those, one))
    return tuple(kind.__iter__(those))
