"""How classes of the notebook are taken apart and made again without running their hooks.

A class was made once, by its statement. What metaclass, `__init_subclass__` and `__set_name__` did then is in
the notebook's variables and comes back with them, so none of them runs again: the class is made empty by the
first metaclass that is not the notebook's, and gets its attributes past all of `__setattr__`. Hooks of other
libraries do run, with an empty class: what they keep is theirs, and a fresh process knows nothing of it.

Functions named `make_…` and `fill_…` are what streams call when they are loaded: old checkpoints need them,
so they stay.
"""

from __future__ import annotations

import abc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any

from cloudpickle import cloudpickle as _internals

_MADE_BY_PYTHON = {
    *("__dict__", "__weakref__", "__slotnames__", "__annotate_func__"),
    *("_abc_impl", "_abc_registry", "_abc_cache", "_abc_negative_cache", "_abc_negative_cache_version"),
}
_FIELDS = ("_anonymous_", "_pack_", "_fields_")
_HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: set for classes that Python code defines, and for some of those made in C."""
_making = threading.RLock()


_IN_C = (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType)


def is_notebooks(cls: type) -> bool:
    """Tell whether a class is pickled by value: Python code defined it, and nobody can import it."""
    if not cls.__flags__ & _HEAP_TYPE or type.__dict__["__module__"].__get__(cls) == "builtins":
        return False
    return not is_importable(cls) and not is_made_in_c(cls)


def is_importable(cls: type) -> bool:
    """Tell whether a class is found where it says that it lies."""
    try:
        return bool(_internals._should_pickle_by_reference(cls))
    except Exception:  # noqa: BLE001  a metaclass may answer any question with an error
        return True


def is_made_in_c(cls: type) -> bool:
    """Tell whether a class was made by compiled code at run time: nobody can make it again from its parts."""
    if not cls.__flags__ & _HEAP_TYPE:
        return False
    own = type.__dict__["__dict__"].__get__(cls)
    return any(isinstance(one, _IN_C) and one.__objclass__ is cls for one in own.values())


def reduce_class(cls: Any) -> Any:
    """Return how a class of the notebook is made again."""
    generic = vars(cls).get("__pydantic_generic_metadata__")
    if isinstance(generic, dict) and generic.get("origin") is not None:
        return make_parametrised, (generic["origin"], generic["args"])
    if hasattr(cls, "_length_") and type(cls).__module__ == "_ctypes":
        return make_array_type, (cls._type_, cls._length_, cls.__module__)
    own = type.__dict__["__dict__"].__get__(cls)
    state = {name: value for name, value in own.items() if not _is_made_by_python(cls, name, value)}
    first: dict[str, Any] = {"__module__": state.get("__module__"), "__qualname__": cls.__qualname__}
    if "__orig_bases__" in own:
        first["__orig_bases__"] = own["__orig_bases__"]
    registered = ()
    if isinstance(cls, abc.ABCMeta):
        references = abc._get_dump(cls)[0]  # type: ignore[attr-defined]
        alive = (one for reference in references if (one := reference()) is not None)
        registered = tuple(sorted(alive, key=lambda one: (one.__module__, one.__qualname__)))
    if type(cls).__module__ == "_ctypes":
        first |= {name: state.pop(name) for name in _FIELDS if name in state}
    meta = type(cls) if type(cls).__module__ != "_ctypes" else None  # it has no name to be imported by
    arguments = meta, cls.__name__, cls.__bases__, first, _slots(cls, own), tuple(state)
    return make_class, arguments, (state, registered), None, None, fill_class


def make_class(
    meta: Any,
    name: str,
    bases: tuple[type, ...],
    first: dict[str, Any],
    slots: tuple[str, ...] | None,
    order: tuple[str, ...],
) -> Any:
    """Return a class made past the notebook's hooks, whose attributes are None in the order that they had."""
    space = dict.fromkeys(order) | {key: value for key, value in first.items() if value is not None}
    if slots is not None:
        space["__slots__"] = slots
    if meta is None:
        return type(bases[0])(name, bases, space)
    maker = next(one for one in meta.__mro__ if one is abc.ABCMeta or _makes_in_c(one))
    with _making:
        try:
            with _hooks_set_aside(bases, every=False):
                return maker.__new__(meta, name, bases, dict(space))
        except Exception:  # noqa: BLE001  a library's hook that wants arguments, or more than an empty class
            with _hooks_set_aside(bases, every=True):
                return maker.__new__(meta, name, bases, dict(space))


def fill_class(cls: Any, state: tuple[dict[str, Any], tuple[type, ...]]) -> None:
    """Give a class its attributes, in their order, and the classes that were registered with it."""
    attributes, registered = state
    metas = (vars(meta).get("__setattr__") for meta in type(cls).__mro__)
    # Of the first metaclass in C; the notebook's are passed over.
    set_attribute: Any = next(one for one in metas if isinstance(one, WrapperDescriptorType))
    for name, value in attributes.items():
        if name != "__module__":  # it is there, and setting it takes `__firstlineno__` away
            set_attribute(cls, name, value)
    for one in registered:
        abc.ABCMeta.register(cls, one)


def make_parametrised(origin: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a model of pydantic with its parameters given: the one that everybody gets who asks."""
    return origin[arguments if len(arguments) != 1 else arguments[0]]


def make_array_type(kind: Any, length: int, module: str = "__main__") -> Any:
    """Return the type of arrays of C, which ctypes makes once for each kind and length."""
    made = kind * length
    if made.__module__ == __name__:
        made.__module__ = module
    return made


def _is_made_by_python(cls: type, name: str, value: Any) -> bool:
    if name in _MADE_BY_PYTHON or type(value).__name__ == "CField":
        return True
    return isinstance(value, MemberDescriptorType | GetSetDescriptorType) and value.__objclass__ is cls


def _slots(cls: Any, own: Any) -> tuple[str, ...] | None:
    """Return the slots that a class adds, by the names that they have in it; None for one without."""
    if "__slots__" not in own:
        return None
    names = [name for name, value in own.items() if isinstance(value, MemberDescriptorType)]
    return (*names, *(name for name in ("__dict__", "__weakref__") if name in own))


def _makes_in_c(meta: type) -> bool:
    return isinstance(vars(meta).get("__new__"), BuiltinFunctionType)


@contextmanager
def _hooks_set_aside(bases: tuple[type, ...], *, every: bool) -> Iterator[None]:
    """Let `__init_subclass__` of the notebook and of Python only pass on; everybody's, if `every`."""
    found = {}
    for cls in dict.fromkeys(one for base in bases for one in base.__mro__):
        hook = vars(cls).get("__init_subclass__")
        if isinstance(hook, classmethod) and (every or _is_ours(cls)):
            found[cls] = hook
    try:
        for cls in list(found):
            try:
                type.__setattr__(cls, "__init_subclass__", _passing_on(cls))
            except TypeError:  # a class of C: it cannot be changed, and does no harm
                del found[cls]
        yield
    finally:
        for cls, hook in found.items():
            type.__setattr__(cls, "__init_subclass__", hook)


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in sys.stdlib_module_names or is_notebooks(cls)


def _passing_on(cls: Any) -> Any:
    return classmethod(lambda made, **given: super(cls, made).__init_subclass__(**given))
