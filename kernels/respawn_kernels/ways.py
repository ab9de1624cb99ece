"""Which way objects are taken apart where their exact type does not tell: decided once per class."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import cloudpickle

from respawn_kernels.class_reductions import is_notebooks
from respawn_kernels.enum_reductions import is_enum, reduce_member
from respawn_kernels.exception_reductions import reduce_exception
from respawn_kernels.instance_reductions import reduce_instance, way_of
from respawn_kernels.lent_attributes import may_lend, reduce_lent
from respawn_kernels.session_state.patching import baseline

if TYPE_CHECKING:
    from respawn_kernels.pickling import NamespacePickler

OneWay = Callable[[Any, "NamespacePickler"], Any]
_NO_SENTINELS = (BuiltinFunctionType, MethodType, FunctionType)


class Ways:
    """The ways of one pickler."""

    def __init__(self) -> None:
        self._known: dict[type, OneWay | None] = {}
        self.asked: set[str] = set()
        """Names of classes that say themselves how their instances are stored."""
        self.asking: set[type] = set()
        """Classes with a way of their own whose instances were taken apart as they are."""

    def of(self, kind: type) -> OneWay | None:
        """Return how objects of a class are taken apart; None for pickle's own way."""
        try:
            return self._known[kind]
        except KeyError:
            self._known[kind] = self._find(kind)
            return self._known[kind]

    def ask(self) -> bool:
        """Leave it to the classes in `asking` from now on; False when there are none."""
        new = {_name(kind) for kind in self.asking} - self.asked
        self.asked |= new
        for kind in self.asking:
            self._known.pop(kind, None)
        return bool(new)

    def _find(self, kind: type) -> OneWay | None:
        if is_enum(kind):
            return _member if is_notebooks(kind) else None
        if issubclass(kind, BaseException):
            return _exception
        if kind is object:
            return _sentinel
        way = None if _name(kind) in self.asked else way_of(kind)
        if way is not None:
            return self._instance(kind, way)
        return _of_library(kind)

    def _instance(self, kind: type, way: Any) -> OneWay:
        def reduce(obj: Any, pickler: NamespacePickler) -> Any:
            if way.asks:
                self.asking.add(kind)
            return reduce_instance(obj, way, pickler)

        return reduce


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _member(member: Any, _pickler: NamespacePickler) -> Any:
    return reduce_member(member)


def _exception(error: Any, _pickler: NamespacePickler) -> Any:
    return reduce_exception(error)


def _sentinel(obj: object, _pickler: NamespacePickler) -> Any:
    """Refer to an `object()` that a library keeps in a module; others are made anew."""
    for name, module in list(sys.modules.items()):
        if name != "__main__" and isinstance(inside := getattr(module, "__dict__", None), dict):
            for key, value in list(inside.items()):
                if value is obj and baseline.is_of_import(name, key, value):
                    return make_kept, (name, key)
    return NotImplemented


def _of_library(kind: type) -> OneWay | None:
    kept = _kept_by_library(kind)
    if not may_lend(kind):
        return kept
    if kept is None:
        return reduce_lent

    def reduce(obj: Any, pickler: NamespacePickler) -> Any:
        found = kept(obj, pickler)
        return reduce_lent(obj, pickler) if found is NotImplemented else found

    return reduce


def _kept_by_library(kind: type) -> OneWay | None:
    """Return how objects of a class are taken apart of which its module, or one beside it, keeps some."""
    if kind.__module__ in ("builtins", "__main__") or kind in _NO_SENTINELS:
        return None
    if kind in cloudpickle.Pickler.dispatch_table:
        return None
    kept: dict[int, tuple[str, str]] = {}
    any_kind: Any = kind
    plain = any_kind.__reduce_ex__ is object.__reduce_ex__ and any_kind.__reduce__ is object.__reduce__
    plain = plain and not hasattr(kind, "__setstate__") and "__getstate__" not in _names_of(kind)
    empty = plain and not any(vars(one).get("__slots__") for one in kind.__mro__)
    for name in _modules_of(kind, whole=empty):
        inside = getattr(sys.modules.get(name), "__dict__", {})
        kept |= {
            id(value): (name, key)
            for key, value in list(inside.items())
            if type(value) is kind and baseline.is_of_import(name, key, value)
        }
    if not kept:
        return None

    def reduce(obj: Any, _pickler: NamespacePickler) -> Any:
        place = kept.get(id(obj))
        if place is None or getattr(sys.modules.get(place[0]), place[1], None) is not obj:
            return NotImplemented
        state = getattr(obj, "__dict__", None) if plain else None
        return (make_kept, place, state) if state else (make_kept, place)

    return reduce


def _names_of(kind: type) -> set[str]:
    return {name for one in kind.__mro__ if one is not object for name in vars(one)}


def _modules_of(kind: type, *, whole: bool) -> list[str]:
    """Return the module of a class; for one whose objects hold nothing, all modules of its package."""
    top = kind.__module__.partition(".")[0]
    if not whole:
        return [kind.__module__]
    return [kind.__module__, *(n for n in list(sys.modules) if n == top or n.startswith(f"{top}."))]


def make_kept(module: str, name: str) -> Any:
    """Return an object that a library keeps in a module."""
    __import__(module)
    return getattr(sys.modules[module], name)
