"""Where a class comes from: the notebook, a module that can be imported, or compiled code."""

from __future__ import annotations

import sys
from types import ClassMethodDescriptorType, MethodDescriptorType, ModuleType, WrapperDescriptorType

from cloudpickle import cloudpickle as _internals

HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: set for classes that Python code defines, and for some of those made in C."""
_IN_C = (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType)


def is_notebooks(cls: type) -> bool:
    """Return whether a class is pickled by value: Python code defined it, and nobody can import it."""
    if not cls.__flags__ & HEAP_TYPE or type.__dict__["__module__"].__get__(cls) == "builtins":
        return False
    return not is_importable(cls) and not is_made_in_c(cls)


def is_importable(cls: type) -> bool:
    """Return whether a class is found in its module under its name."""
    try:
        return _is_in_its_module(cls) or bool(_internals._should_pickle_by_reference(cls))
    except Exception:  # noqa: BLE001  a metaclass may answer any question with an error
        return True


def _is_in_its_module(cls: type) -> bool:
    """Return whether a class lies in its module under its plain name: what cloudpickle looks up, and sooner.

    It is asked of many classes for each group of variables. Where this says no, cloudpickle is asked.
    """
    name = cls.__module__
    if name == "__main__" or _internals._PICKLE_BY_VALUE_MODULES:
        return False
    module = sys.modules.get(name)
    return type(module) is ModuleType and vars(module).get(cls.__qualname__) is cls


def is_made_in_c(cls: type) -> bool:
    """Return whether a class was made by compiled code at run time: it cannot be made from its parts."""
    if not cls.__flags__ & HEAP_TYPE:
        return False
    own = type.__dict__["__dict__"].__get__(cls)
    return any(isinstance(one, _IN_C) and one.__objclass__ is cls for one in own.values())
