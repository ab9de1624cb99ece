"""Which groups nobody but their own variables refers to.

An object that only the namespace and its own group refer to can be changed only through the group's
variables. Reference counts show it: an object has as many references as its group, its names and this module
hold, or somebody else holds one too. That may be anybody, so such a group is always pickled anew. References
that the garbage collector cannot see (inside C objects) make a group look shared, never exclusively owned.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import functools
import gc
import pathlib
import pickle
import re
import sys
import types
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from respawn_kernels.introspection.class_origin import HEAP_TYPE

_PLAIN: set[type] = {
    *(type(None), bool, int, float, complex, str, bytes, range, slice, type(...), type(NotImplemented)),
    *(types.BuiltinFunctionType, types.CodeType, types.ModuleType, types.GetSetDescriptorType),
    *(re.Pattern, decimal.Decimal, fractions.Fraction, uuid.UUID),
    *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone),
    *(pathlib.PosixPath, pathlib.PurePosixPath, pathlib.WindowsPath, pathlib.PureWindowsPath),
}
_OF_LIBRARIES = {
    "numpy": ("ufunc", "dtype", "generic"),
    "pandas": ("Timestamp", "Timedelta", "Period", "Interval"),
    "pandas.api.extensions": ("ExtensionDtype",),
    "pandas._libs.tslibs.nattype": ("NaTType",),
    "pandas._libs.missing": ("NAType",),
    "pandas._libs.internals": ("BlockPlacement",),
    "pyarrow": ("DataType", "Schema", "Field"),
    "torch": ("dtype", "device", "Size", "layout"),
    "logging": ("Logger",),
    "zoneinfo": ("ZoneInfo",),
}


_INLINE_VALUES = 1 << 2 if sys.version_info >= (3, 13) else 0
"""Py_TPFLAGS_INLINE_VALUES: set for classes whose instances hold their attributes in themselves."""
_CONTAINERS = {
    *(list, dict, set, frozenset, tuple, bytearray, staticmethod, classmethod, property),
    *(types.FunctionType, types.MethodType, types.CellType, types.SimpleNamespace),
    pickle.PickleBuffer,
    *(collections.OrderedDict, collections.deque, collections.defaultdict, functools.partial),
}


def nobodys() -> set[int]:
    """Return the ids of objects that libraries keep in their classes and put into every pickle."""
    pandas = sys.modules.get("pandas")
    classes: list[Any] = [getattr(pandas, name, None) for name in ("DataFrame", "Series")]
    from respawn_kernels.reducers.session_objects import sessions_own

    found = {id(cls._metadata) for cls in classes if hasattr(cls, "_metadata")}
    return found | set(map(id, sessions_own()))


def immutables() -> set[type]:
    """Return the types whose objects never change and whose identity says nothing, of what is loaded."""
    found = set(_PLAIN)
    for module, names in _OF_LIBRARIES.items():
        library = sys.modules.get(module)
        waiting = [cls for name in names if isinstance(cls := getattr(library, name, None), type)]
        while waiting:
            cls = waiting.pop()
            if cls not in found:
                found.add(cls)
                waiting += type.__subclasses__(cls)
    return found


def is_exclusively_owned(
    objects: Mapping[int, Any], immutable: set[type], others: Iterable[int], fixed: Collection[int]
) -> bool:
    """Return whether nobody outside refers to an object of a group that can change.

    Args:
        objects: every object that the group's pickling met, by id, but those that never change.
        immutable: types whose objects anybody may share, since they never change.
        others: ids of objects that the namespace or the caller refers to, once for each reference.
        fixed: ids of arrays that never change: those in an index of pandas.
    """
    # `gc.get_referents` returns what a type's `tp_traverse` visits, which need not be all (documentation of
    # gc).
    if not all(map(_is_transparent, set(map(type, objects.values())) - immutable)):
        return False
    inside = Counter(map(id, gc.get_referents(*objects.values())))
    inside.update(others)
    for value in objects.values():
        if isinstance(value, type):
            inside.update(map(id, vars(value).values()))
        elif id(value) in fixed:
            continue
        elif type(value).__module__ == "numpy" and (base := getattr(value, "base", None)) is not None:
            # The garbage collector does not track arrays, so it does not see their base.
            if id(base) not in objects and type(base) is not bytes:
                return False
            inside[id(base)] += 1
        elif (attributes := _unseen_attributes(value)) is not None:
            inside[attributes] += 1
    value = base = None  # what the loop holds must not count
    counts = _references(objects)
    # An index of pandas never changes; besides its names it is held by caches and types.
    index = getattr(sys.modules.get("pandas"), "Index", type)
    return all(
        counts[key] <= inside[key] or key in fixed
        for key, value in objects.items()
        if not isinstance(value, (type, types.FunctionType, index))
    )


def _unseen_attributes(value: Any) -> int | None:
    """Return the id of an instance's `__dict__` when the garbage collector does not see it; else None.

    Python 3.13 keeps attributes in the object itself and shows the collector these. A dictionary that
    somebody asked for all the same is then not visited (PyObject_VisitManagedDict).
    """
    kind: Any = type(value)
    descriptor = _attributes_of(kind)
    if descriptor is None:
        return None
    attributes = descriptor.__get__(value)
    return None if any(one is attributes for one in gc.get_referents(value)) else id(attributes)


@functools.cache
def _attributes_of(kind: Any) -> types.GetSetDescriptorType | None:
    """Return what gives the dictionary of a type's instances, where they hold their attributes themselves."""
    if not kind.__flags__ & _INLINE_VALUES:
        return None
    found = [vars(cls).get("__dict__") for cls in type.mro(kind)]
    return next((one for one in found if isinstance(one, types.GetSetDescriptorType)), None)


@functools.cache
def _is_transparent(kind: type) -> bool:
    """Return whether objects of a type hold nothing that only C code knows of, which others may change."""
    if kind in _CONTAINERS or str(kind.__module__).partition(".")[0] == "pandas":
        return True
    if issubclass(kind, type) or (kind.__module__, kind.__name__) == ("numpy", "ndarray"):
        return True
    if not kind.__flags__ & HEAP_TYPE or not {"__dict__", "__slots__"} & set(vars(kind)):
        return False
    return all(base is object or _is_transparent(base) for base in kind.__mro__[1:])


def _references(objects: Mapping[int, Any]) -> dict[int, int]:
    """Return how many references there are to each object besides those that counting itself holds."""
    return {id(value): sys.getrefcount(value) - _OURS for value in objects.values()}


def _calibrate() -> int:
    """Return how many references counting itself holds: it differs by version of Python.

    So it is measured with an object that nobody else refers to.
    """
    probe: list[Any] = []
    return _references({id(probe): probe})[id(probe)] - 1


_OURS = 0
_OURS = _calibrate()
