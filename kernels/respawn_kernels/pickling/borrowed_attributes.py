"""Objects of libraries whose `vars()` somebody else refers to, too: both must have one dict again.

Pickle copies the entries of the dict into a new object's own dict: what is set in one of the two later is
missing in the other one. Streams call `fill_borrowed` when they are loaded.
"""

from __future__ import annotations

import copyreg
import ctypes
import sys
from types import GetSetDescriptorType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import cloudpickle

from respawn_kernels.rebuild import stable_name

if TYPE_CHECKING:
    from respawn_kernels.pickling.namespace_pickler import NamespacePickler

_WAYS = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")


def may_borrow(kind: type) -> bool:
    """Return whether objects of a class have a dict of attributes, which Python itself stores."""
    if kind is SimpleNamespace:
        return True
    if not kind.__dictoffset__ or kind.__module__ == "builtins":  # such as `classmethod`
        return False
    if issubclass(kind, type | ModuleType | BaseException) or kind in cloudpickle.Pickler.dispatch_table:
        return False
    own = [vars(one) for one in kind.__mro__ if one is not object]
    return kind not in copyreg.dispatch_table and not any(name in one for name in _WAYS for one in own)


def reduce_borrowed(obj: Any, pickler: NamespacePickler) -> Any:
    """Return how an object whose `__dict__` others refer to is made again; NotImplemented for others."""
    inside = obj.__dict__
    others = sys.getrefcount(inside) - _OURS
    if type(inside) is not dict or not pickler.is_lent(inside, others):
        return NotImplemented
    made: Any = obj.__reduce_ex__(pickler.proto)
    if made[2] is not inside and (made[2] is not None or inside):  # it has slots besides
        return NotImplemented
    return (*made[:2], inside, *(*made[3:], None, None)[:2], fill_borrowed)


@stable_name
def fill_borrowed(obj: Any, inside: dict[str, Any]) -> None:
    """Make a dict the `__dict__` of an object."""
    for cls in type(obj).__mro__:
        descriptor = vars(cls).get("__dict__")
        if isinstance(descriptor, GetSetDescriptorType):
            descriptor.__set__(obj, inside)
            return
    # https://docs.python.org/3/c-api/object.html#c.PyObject_GenericSetDict
    ctypes.pythonapi.PyObject_GenericSetDict(ctypes.py_object(obj), ctypes.py_object(inside), None)


def _calibrate() -> int:
    """Return how many references to an object's own `__dict__` the object and its reduction have.

    It is measured, since it differs by version of Python.
    """
    probe: Any = SimpleNamespace(x=1)
    inside = probe.__dict__
    return sys.getrefcount(inside)


_OURS = _calibrate()
