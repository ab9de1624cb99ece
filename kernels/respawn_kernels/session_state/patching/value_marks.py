"""What data looks like, to find later whether it changed in place, without running anybody's code.

Atoms count by value, everything else that is not data by its address. Limits: of large data only the first
elements and the length are looked at, and of objects that keep their data in C only the address.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Hashable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

ATOMS = (type(None), bool, int, float, complex, str, bytes)
_SEQUENCES = (list, tuple, deque)
_MAPPINGS = (dict, defaultdict, OrderedDict)
_SETS = (set, frozenset)
_CODE = (type, ModuleType, FunctionType, BuiltinFunctionType, type(dict.get))
_MAX = 2000
_LARGEST_ARRAY = 1 << 16
_MAX_ATOM_LENGTH = 1 << 12


def can_change(value: Any) -> bool:
    """Return whether a value is data that may change in place: a container, an array, an object."""
    kind = type(value)
    if kind in ATOMS or kind is tuple or kind is frozenset or issubclass(kind, type | ModuleType):
        return False
    return kind in (*_SEQUENCES, *_MAPPINGS, *_SETS, bytearray) or _is_array(value) or _has_attributes(value)


def mark(value: Any) -> Hashable:
    """Return a value that differs when data does, within the limits of this module."""
    found: list[Hashable] = []
    waiting: list[Any] = [value]
    seen: set[int] = set()
    while waiting and len(found) < _MAX:
        one = waiting.pop()
        kind = type(one)
        if kind in ATOMS:
            found.append(
                (kind, one if not isinstance(one, str | bytes) or len(one) < _MAX_ATOM_LENGTH else id(one))
            )
            continue
        if id(one) in seen:
            continue
        seen.add(id(one))
        found.append(_head(one))
        if kind in _SEQUENCES or kind in _SETS:
            waiting += list(one)[: _MAX - len(found)]
        elif kind in _MAPPINGS:
            for key, item in list(one.items())[: _MAX - len(found)]:
                waiting += (key, item)
        elif _has_attributes(one):
            waiting.append(vars(one))
    return hash(tuple(found))


def is_complete(value: Any) -> bool:
    """Return whether `mark` differs whenever a value does: it is data and code through and through.

    Functions, classes and modules count by their address there. Too much of it is not looked at as a whole.
    """
    waiting, count, seen = [value], 0, set[int]()
    while waiting:
        one = waiting.pop()
        kind, count = type(one), count + 1
        if count > _MAX:
            return False
        if kind in ATOMS or id(one) in seen or issubclass(kind, _CODE):
            continue
        seen.add(id(one))
        if kind in _SEQUENCES or kind in _SETS:
            waiting += list(one)
        elif kind in _MAPPINGS:
            waiting += [*one.keys(), *one.values()]
        elif not (_is_array(one) and one.nbytes <= _LARGEST_ARRAY and not one.dtype.hasobject):
            return False
    return True


def _head(value: Any) -> Hashable:
    kind = type(value)
    if kind in _SEQUENCES or kind in _MAPPINGS or kind in _SETS:
        return kind, len(value)
    if kind is bytearray:
        return kind, bytes(value)
    if _is_array(value) and value.nbytes <= _LARGEST_ARRAY and not value.dtype.hasobject:
        return str(value.dtype), value.shape, value.tobytes()
    return kind, id(value)


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is getattr(numpy, "ndarray", None)


def _has_attributes(value: Any) -> bool:
    """Return whether a value is an object of a class in Python that keeps its data in attributes."""
    kind = type(value)
    return kind.__flags__ & (1 << 9) != 0 and not callable(value) and isinstance(_vars(value), dict)


def _vars(value: Any) -> Any:
    try:
        return object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
