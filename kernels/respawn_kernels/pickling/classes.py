"""How classes of the notebook are taken apart and made again without running their hooks.

A class was made once, by its statement. What metaclass, `__init_subclass__` and `__set_name__` (PEP 487) did
then is in the notebook's variables and comes back with them, so none of them runs again: the class is made
empty by the first metaclass that is not the notebook's, and its attributes are set past all of `__setattr__`.
Hooks of other libraries do run, with an empty class: what they keep is in their own modules, and a fresh
process does not have it.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import abc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import (
    BuiltinFunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    WrapperDescriptorType,
)
from typing import Any

from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.rebuild import stable_name

_MADE_BY_PYTHON = {
    *("__dict__", "__weakref__", "__slotnames__", "__annotate_func__"),
    *("_abc_impl", "_abc_registry", "_abc_cache", "_abc_negative_cache", "_abc_negative_cache_version"),
}
_FIELDS = ("_anonymous_", "_pack_", "_fields_")
"""What ctypes reads when it makes a structure, and never again."""
_making = threading.RLock()
"""Held while hooks are set aside; once more by a thread whose loading of a class loads another one."""


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


@stable_name
def make_class(
    meta: Any,
    name: str,
    bases: tuple[type, ...],
    first: dict[str, Any],
    slots: tuple[str, ...] | None,
    order: tuple[str, ...],
) -> Any:
    """Return a class made past the notebook's hooks, whose attributes are None in the order that they had.

    The attributes may lead to the class itself, so `fill_class` sets them once it is there.

    Args:
        meta: the metaclass; None for one of ctypes, which is that of the first base.
        name: of the class.
        bases: its base classes.
        first: attributes that it must have when it is made, such as its qualified name and the fields of
            ctypes.
        slots: names of the slots that it adds, as `__slots__` has them; None for a class without.
        order: the names of all attributes in their order.
    """
    space = dict.fromkeys(order) | {key: value for key, value in first.items() if value is not None}
    if slots is not None:
        space["__slots__"] = slots
    if meta is None:
        return type(bases[0])(name, bases, space)
    maker = next(one for one in meta.__mro__ if one is abc.ABCMeta or _makes_in_c(one))
    # Race: of two threads that make classes, one would put the other one's stand-ins back as hooks.
    with _making:
        try:
            with _hooks_set_aside(bases, every=False):
                return maker.__new__(meta, name, bases, dict(space))
        except Exception:  # noqa: BLE001  a library's hook that wants arguments, or more than an empty class
            with _hooks_set_aside(bases, every=True):
                return maker.__new__(meta, name, bases, dict(space))


@stable_name
def fill_class(cls: Any, state: tuple[dict[str, Any], tuple[type, ...]]) -> None:
    """Set the attributes of a class, in their order, and register its virtual subclasses."""
    attributes, registered = state
    metas = (vars(meta).get("__setattr__") for meta in type(cls).__mro__)
    # That of the first metaclass in C; the notebook's are passed over.
    set_attribute: Any = next(one for one in metas if isinstance(one, WrapperDescriptorType))
    for name, value in attributes.items():
        if name != "__module__":  # it is there, and setting it takes `__firstlineno__` away
            set_attribute(cls, name, value)
    for one in registered:
        abc.ABCMeta.register(cls, one)


@stable_name
def make_parametrised(origin: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a model of pydantic with its parameters given: pydantic returns the same one each time."""
    return origin[arguments if len(arguments) != 1 else arguments[0]]


@stable_name
def make_array_type(kind: Any, length: int, module: str = "__main__") -> Any:
    """Return the type of arrays of C, which ctypes makes once for each kind and length.

    Args:
        kind: type of the elements, one of ctypes.
        length: number of elements.
        module: name of the module that the type says it is of.
    """
    made = kind * length
    if made.__module__ == __name__:
        made.__module__ = module
    return made


def _is_made_by_python(cls: type, name: str, value: Any) -> bool:
    if name in _MADE_BY_PYTHON or type(value).__name__ == "CField":
        return True
    return isinstance(value, MemberDescriptorType | GetSetDescriptorType) and value.__objclass__ is cls


def _slots(cls: Any, own: Any) -> tuple[str, ...] | None:
    """Return the slots that a class adds, by their names in it; None for a class without slots."""
    if "__slots__" not in own:
        return None
    names = [name for name, value in own.items() if isinstance(value, MemberDescriptorType)]
    return (*names, *(name for name in ("__dict__", "__weakref__") if name in own))


def _makes_in_c(meta: type) -> bool:
    return isinstance(vars(meta).get("__new__"), BuiltinFunctionType)


@contextmanager
def _hooks_set_aside(bases: tuple[type, ...], *, every: bool) -> Iterator[None]:
    """Let `__init_subclass__` of the notebook and of Python, or `every` one, only call the next one."""
    found = {}
    for cls in dict.fromkeys(one for base in bases for one in base.__mro__):
        hook = vars(cls).get("__init_subclass__")
        if isinstance(hook, classmethod) and (every or _is_ours(cls)):
            found[cls] = hook
    try:
        for cls in list(found):
            try:
                type.__setattr__(cls, "__init_subclass__", _passing_on(cls))
            except TypeError:  # a class of C: it cannot be changed, and its hook runs
                del found[cls]
        yield
    finally:
        for cls, hook in found.items():
            type.__setattr__(cls, "__init_subclass__", hook)


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in sys.stdlib_module_names or is_notebooks(cls)


def _passing_on(cls: Any) -> Any:
    return classmethod(lambda made, **given: super(cls, made).__init_subclass__(**given))
