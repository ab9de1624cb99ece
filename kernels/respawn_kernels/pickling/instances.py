"""How instances of the notebook's classes are taken apart: as they are, past everything that the class does.

Pickle calls `__reduce_ex__` of an object, which runs the notebook's code here and there: a constructor that
registers itself registers twice, a `__getattr__` that delegates never ends, a `__getstate__` keeps something
back. What an object is made of is known without it: what it has of a class of Python (the items of a list,
the text of a `str`), its `__dict__` and its slots. So it is made by that class of Python and filled. Only
when that cannot be stored are the class's own methods called after all.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import collections
import copyreg
import datetime
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.rebuild import stable_name

_HOOKS = ("__reduce__", "__reduce_ex__", "__getstate__")
_MORE_HOOKS = ("__setstate__", "__getnewargs__", "__getnewargs_ex__")
_VALUES: tuple[type, ...] = (int, float, complex, str, bytes)
_ITEMS: tuple[type, ...] = (tuple, frozenset)
_FILLED: dict[type, Callable[[Any, Any], object]] = {
    list: list.extend,
    set: set.update,
    bytearray: bytearray.extend,
    dict: dict.update,
    collections.OrderedDict: collections.OrderedDict.update,
    collections.deque: collections.deque.extend,
}
_ATOMS = (type(None), bool, int, float, complex, str, bytes)


@dataclass(frozen=True)
class Way:
    """How the instances of one class are taken apart."""

    base: type
    """The class of Python that makes them."""
    slots: tuple[Any, ...]
    """Descriptors of the slots that the notebook's classes add."""
    has_dict: bool
    hashed: bool
    """They may be looked for by what they hold."""
    simple: bool
    """Pickle's own way does the same and is faster."""
    asks: bool
    """The class has a way of its own."""


def way_of(cls: type) -> Way | None:
    """Return how instances of a class are taken apart; None when that is left to pickle and the class."""
    if not is_notebooks(cls):
        return None
    mine = [one for one in cls.__mro__ if is_notebooks(one)]
    rest = [one for one in cls.__mro__ if one not in mine]
    base = next((one for one in rest if "__new__" in vars(one)), object)
    if base not in (object, datetime.tzinfo) and base not in _VALUES + _ITEMS and base not in _FILLED:
        return None
    plain = {object, base}
    if any(name in vars(one) for one in rest if one not in plain for name in (*_HOOKS, *_MORE_HOOKS)):
        return None
    if any(slots_of(one) for one in rest if one not in plain):
        return None
    asks = any(name in vars(one) for one in mine for name in (*_HOOKS, *_MORE_HOOKS))
    looks = any(name in vars(one) for one in mine for name in ("__getattr__", "__getattribute__", "__new__"))
    slots = tuple(slot for one in mine for slot in slots_of(one))
    asks = asks or cls in copyreg.dispatch_table
    own_hash: Any = cls.__hash__
    hashed = own_hash not in (None, object.__hash__)
    has_dict = any(isinstance(vars(one).get("__dict__"), GetSetDescriptorType) for one in cls.__mro__)
    simple = base is object and not (asks or looks or slots or hashed) and has_dict
    return Way(base, slots, has_dict, hashed, simple, asks)


def reduce_instance(obj: Any, way: Way, pickler: Any) -> Any:
    """Return how an instance is made again.

    Args:
        obj: the instance.
        way: what `way_of` returned for its class.
        pickler: the pickler, which knows who refers to the `__dict__`.
    """
    inside = _dict_of(obj) if way.has_dict else None
    others = sys.getrefcount(inside) - _OURS
    # Where somebody else refers to its `__dict__`, it must be that very dict again.
    lent = inside is not None and pickler.is_lent(inside, others)
    cls = type(obj)
    if way.simple and not lent:
        return copyreg.__newobj__, (cls,), inside or None  # type: ignore[attr-defined]
    slots = {slot.__name__: value for slot in way.slots for value in _in_slot(slot, obj)}
    base, payload = payload_of(obj, way.base)
    items = payload if base in _FILLED else None
    made = make_raw, (cls, base, None if items is not None else payload)
    # A set or dict that is loaded may ask for its hash before it is filled, where the two lead to each other.
    if way.hashed and not lent:
        known = {n: v if _is_known(v) else None for n, v in (inside or {}).items()}
        known_slots = {name: value for name, value in slots.items() if _is_known(value)}
        made = make_known, (*made[1], known, known_slots)  # type: ignore[assignment]
    if not (inside or lent or slots or items):
        return made
    return *made, (inside, lent, slots, items), None, None, fill_raw


def payload_of(obj: Any, base: Any = None) -> tuple[Any, Any]:
    """Return the class of Python that an object is made by, and what it has of that class.

    Args:
        obj: the object.
        base: the class; None to find it.
    """
    if base is None:
        way = way_of(type(obj))
        base = next((one for one in type(obj).__mro__ if one in _VALUES + _ITEMS), object)
        base = base if way is None else way.base
    if base in (object, datetime.tzinfo):
        return base, None
    if base in _VALUES:
        # Past the notebook's `__int__`, `__str__` and the like, which may return anything.
        plain = {int: int.__pos__, float: float.__pos__, complex: complex.__pos__}.get(base)
        if plain is not None:
            return base, plain(obj)
        return base, base.__getitem__(obj, slice(None))
    if base in (dict, collections.OrderedDict):
        return base, list(base.items(obj))
    if base is bytearray:
        return base, bytes(bytearray.__getitem__(obj, slice(None)))
    return base, list(base.__iter__(obj))


@stable_name
def make_raw(cls: type, base: Any, payload: Any) -> Any:
    """Return an instance made by a class of Python, with nothing in `__dict__` and slots.

    Args:
        cls: the class of the instance.
        base: the class of Python, whose `__new__` makes it.
        payload: what `base` is called with, such as the text of a `str`; None for nothing.
    """
    if payload is None:
        return base.__new__(cls)
    return base.__new__(cls, payload)


@stable_name
def make_known(cls: type, base: Any, payload: Any, known: dict[str, Any], slots: dict[str, Any]) -> Any:
    """Return an instance that already has its plain attributes, since its hash may be asked for at once.

    Args:
        cls: the class of the instance.
        base: the class of Python, whose `__new__` makes it.
        payload: what `base` is called with; None for nothing.
        known: attributes in their order; those that lead to other objects are None, and set later.
        slots: plain values of slots, by name.
    """
    made = make_raw(cls, base, payload)
    _fill(made, known, slots)
    return made


@stable_name
def fill_raw(obj: Any, state: tuple[Any, bool, dict[str, Any], Any]) -> None:
    """Set what an instance holds: items, `__dict__` and slots."""
    inside, lent, slots, items = state
    if items is not None:
        base = next(one for one in type(obj).__mro__ if one in _FILLED)
        _FILLED[base](obj, items)
    if lent:
        _dict_descriptor(obj).__set__(obj, inside)
        inside = None
    _fill(obj, inside, slots)


def _fill(obj: Any, inside: dict[str, Any] | None, slots: dict[str, Any]) -> None:
    if inside:
        _dict_of(obj).update({sys.intern(n) if type(n) is str else n: v for n, v in inside.items()})
    for name, value in slots.items():
        _slot(type(obj), name).__set__(obj, value)


def _dict_descriptor(obj: Any) -> Any:
    for cls in type(obj).__mro__:
        descriptor = vars(cls).get("__dict__")
        if isinstance(descriptor, GetSetDescriptorType):
            return descriptor
    raise AttributeError(f"{type(obj).__name__} has no __dict__")


def _dict_of(obj: Any) -> Any:
    return _dict_descriptor(obj).__get__(obj)


def slots_of(cls: type) -> Iterable[Any]:
    """Return the descriptors of the slots that a class itself adds."""
    return [v for v in vars(cls).values() if isinstance(v, MemberDescriptorType) and v.__objclass__ is cls]


def _in_slot(slot: Any, obj: Any) -> list[Any]:
    try:
        return [slot.__get__(obj)]
    except AttributeError:  # it is empty
        return []


def _slot(cls: type, name: str) -> Any:
    for one in cls.__mro__:
        found = vars(one).get(name)
        if isinstance(found, MemberDescriptorType):
            return found
    raise AttributeError(f"{cls.__name__} has no slot {name}")


def _is_known(value: Any) -> bool:
    """Return whether a value leads to nothing that may still have to be made."""
    if type(value) in (tuple, frozenset):
        return all(map(_is_known, value))
    return type(value) in _ATOMS


class _Probe:
    pass


def _calibrate() -> int:
    """Return how many references to an instance's own `__dict__` its reduction and Python have.

    It is measured, since it differs by version of Python.
    """
    probe = _Probe()
    probe.x = 1  # type: ignore[attr-defined]
    inside = _dict_of(probe)
    return sys.getrefcount(inside)


_OURS = _calibrate()
