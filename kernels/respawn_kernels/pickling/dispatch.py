"""Which way objects are taken apart where no reducer has their exact type: decided once per class."""

from __future__ import annotations

import gc
import pickle
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import cloudpickle

from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.pickling.borrowed_attributes import may_borrow, reduce_borrowed
from respawn_kernels.pickling.c_data import is_c_data, reduce_c_data
from respawn_kernels.pickling.enums import is_enum, reduce_member
from respawn_kernels.pickling.event_listeners import may_be_listened_to, refuse_listened_to
from respawn_kernels.pickling.exceptions import reduce_exception
from respawn_kernels.pickling.instances import Way, reduce_instance, slots_of, way_of
from respawn_kernels.rebuild import stable_name
from respawn_kernels.session_state.patching import baseline

if TYPE_CHECKING:
    from respawn_kernels.pickling.namespace_pickler import NamespacePickler

OneWay = Callable[[Any, "NamespacePickler"], Any]
_STATE = ("__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
_REFUSED = {
    "sqlalchemy.orm.instrumentation.ClassManager": "a class that SQLAlchemy maps: its mapper is in no pickle",
}
"""Classes of libraries whose objects come back as empty shells, without an error, and why."""
_NO_SENTINELS = (BuiltinFunctionType, MethodType, FunctionType)


class Ways:
    """The ways of one pickler."""

    def __init__(self) -> None:
        self._known: dict[type, OneWay | None] = {}
        self.asked: set[str] = set()
        """Names of classes whose own `__reduce__` or `__getstate__` stores their instances."""
        self.asking: set[type] = set()
        """Classes with such a method whose instances were taken apart without it."""
        self._sentinels: dict[int, tuple[str, str]] | None = None

    def of(self, kind: type) -> OneWay | None:
        """Return how objects of a class are taken apart; None for pickle's own way."""
        try:
            return self._known[kind]
        except KeyError:
            self._known[kind] = self._find(kind)
            return self._known[kind]

    def ask(self) -> bool:
        """Call the own methods of the classes in `asking` from now on; return False when there are none."""
        new = {_name(kind) for kind in self.asking} - self.asked
        self.asked |= new
        for kind in self.asking:
            self._known.pop(kind, None)
        return bool(new)

    def _find(self, kind: type) -> OneWay | None:
        if (why := _REFUSED.get(_name(kind))) is not None:
            return _refusal(why)
        if is_enum(kind):
            return _member if is_notebooks(kind) else None
        if issubclass(kind, BaseException):
            return _exception
        if kind is object:
            return self._sentinel
        if is_c_data(kind):
            return _c_data
        way = None if _name(kind) in self.asked else way_of(kind)
        if way is not None:
            return self._instance(kind, way)
        return _of_library(kind)

    def _sentinel(self, obj: object, _pickler: NamespacePickler) -> Any:
        """Refer to an `object()` that a library keeps in a module, a sentinel; others are made anew."""
        if self._sentinels is None:
            self._sentinels = _sentinels()
        place = self._sentinels.get(id(obj))
        return NotImplemented if place is None else (make_kept, place)

    def _instance(self, kind: type, way: Any) -> OneWay:
        ends = hasattr(kind, "__del__")

        def reduce(obj: Any, pickler: NamespacePickler) -> Any:
            if ends and gc.is_finalized(obj):
                raise pickle.PicklingError("its __del__ was called already, and would be called once more")
            if way.asks:
                self.asking.add(kind)
            return reduce_instance(obj, way, pickler)

        return reduce


def _refusal(why: str) -> OneWay:
    def refuse(_obj: Any, _pickler: NamespacePickler) -> Any:
        raise pickle.PicklingError(why)

    return refuse


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _member(member: Any, _pickler: NamespacePickler) -> Any:
    return reduce_member(member)


def _exception(error: Any, _pickler: NamespacePickler) -> Any:
    return reduce_exception(error)


def _c_data(obj: Any, _pickler: NamespacePickler) -> Any:
    return reduce_c_data(obj)


def _sentinels() -> dict[int, tuple[str, str]]:
    """Return the first module and name of each `object()` that libraries keep in modules, by its id."""
    found: dict[int, tuple[str, str]] = {}
    for name, module in list(sys.modules.items()):
        if name != "__main__" and isinstance(inside := getattr(module, "__dict__", None), dict):
            for key, value in list(inside.items()):
                if type(value) is object and baseline.is_of_import(name, key, value):
                    found.setdefault(id(value), (name, key))
    return found


def _of_library(kind: type) -> OneWay | None:
    ways = [
        _kept_by_library(kind),
        refuse_listened_to if may_be_listened_to(kind) else None,
        _way_past(kind) or (reduce_borrowed if may_borrow(kind) else None),
    ]
    known = [way for way in ways if way is not None]
    if len(known) < 2:
        return next(iter(known), None)

    def reduce(obj: Any, pickler: NamespacePickler) -> Any:
        for way in known:
            found = way(obj, pickler)
            if found is not NotImplemented:
                return found
        return NotImplemented

    return reduce


def _way_past(kind: type) -> OneWay | None:
    """Return a way past what a class of a library does when pickle makes an empty object of it."""
    if _is_plain(kind) and (_answers_empty(kind) or _makes_another(kind)):
        return _unasked(kind)
    return None


def _answers_empty(kind: type) -> bool:
    """Return whether loading an object would ask it for attributes before it has any.

    Pickle looks for `__setstate__` on the empty object. A `__getattr__` that counts on what `__init__` has
    set then calls itself until the stack is full.
    """
    any_kind: Any = kind
    return any_kind.__new__ is object.__new__ and "__getattr__" in _names_of(kind)


def _makes_another(kind: type) -> bool:
    """Return whether a class makes something else when pickle asks it for an empty object, or refuses.

    Its `__new__` is made for arguments, and a `__reduce__` that would give them is missing, as in SciPy's
    `stats.Normal`. This calls it once: in a process that writes, whose objects are no notebook's.
    """
    any_kind: Any = kind
    if not isinstance(any_kind.__new__, FunctionType):
        return False
    try:
        return type(any_kind.__new__(kind)) is not kind
    except Exception:  # noqa: BLE001  whatever keeps it from making one would keep pickle from it too
        return True


def _is_plain(kind: type) -> bool:
    """Return whether pickle knows no more of a library's objects than their `__dict__` and slots."""
    any_kind: Any = kind
    if kind.__module__ == "builtins":
        return False
    if any_kind.__reduce_ex__ is not object.__reduce_ex__ or any_kind.__reduce__ is not object.__reduce__:
        return False
    holds = kind.__dictoffset__ or any(vars(one).get("__slots__") for one in kind.__mro__)
    if kind in cloudpickle.Pickler.dispatch_table or not holds:
        return False
    makers = [one for one in kind.__mro__ if isinstance(vars(one).get("__new__"), BuiltinFunctionType)]
    return makers == [object] and not _names_of(kind).intersection(_STATE)


def _unasked(kind: type) -> OneWay:
    own_hash: Any = kind.__hash__
    hashed = own_hash not in (None, object.__hash__)
    slots = tuple(slot for one in kind.__mro__ for slot in slots_of(one))
    way = Way(object, slots, bool(kind.__dictoffset__), hashed, simple=False, asks=False)
    return lambda obj, pickler: reduce_instance(obj, way, pickler)


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
    top = str(kind.__module__).partition(".")[0]
    if not whole:
        return [kind.__module__]
    return [kind.__module__, *(n for n in list(sys.modules) if n == top or n.startswith(f"{top}."))]


@stable_name
def make_kept(module: str, name: str) -> Any:
    """Return an object that a library keeps in a module."""
    __import__(module)
    return getattr(sys.modules[module], name)
