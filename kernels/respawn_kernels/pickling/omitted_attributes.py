"""Attributes that a class leaves out when its own methods store its objects, such as a note on a table.

What an object lacks once it is loaded is found by loading it (`capture.trial_load`). It is then stored beside
what its class stores, and set again by `fill_left_out`, which streams call when they are loaded. What a class
computes anew when it is read (`cached_property`) does not count, nor what a library keeps under a private
name, unless it is a few texts and numbers.

Where nothing is loaded to be compared, without forks, what a class of the notebook stores is looked at:
attributes that are not in it are stored beside it.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import cloudpickle

from respawn_kernels.introspection.class_origin import HEAP_TYPE, is_made_in_c
from respawn_kernels.rebuild import stable_name

if TYPE_CHECKING:
    from respawn_kernels.pickling.namespace_pickler import NamespacePickler

_MANY = 100
_NEVER = (type, ModuleType, FunctionType, BaseException)


def name_of_class(kind: type) -> str:
    """Return what a class is called, with its module."""
    return f"{kind.__module__}.{kind.__qualname__}"


def may_leave_out(kind: type) -> bool:
    """Return whether objects of a class have attributes that it might not store."""
    if not kind.__dictoffset__ or issubclass(kind, _NEVER):
        return False
    # Python's own in C store their attributes, and would make a `__dict__` for being asked for it.
    in_c = not kind.__flags__ & HEAP_TYPE or is_made_in_c(kind)
    return not (in_c and str(kind.__module__).partition(".")[0] in sys.stdlib_module_names)


def attributes_of(obj: Any) -> dict[str, Any]:
    """Return the attributes of an object itself; none where it hides them."""
    inside = getattr(obj, "__dict__", None)
    return inside if type(inside) is dict else {}


def missing(one: Any, other: Any) -> list[str]:
    """Return the attributes of a library's object that the one that came back lacks and cannot compute."""
    mine, others = attributes_of(one), attributes_of(other)
    if mine.keys() <= others.keys():
        return []
    kind = type(one)
    return sorted(
        name
        for name, value in mine.items()
        if name not in others and type(name) is str and _is_missed(kind, name, value)
    )


def _is_missed(kind: type, name: str, value: Any) -> bool:
    declared = next((vars(cls)[name] for cls in kind.__mro__ if name in vars(cls)), _NOTHING)
    if declared is value:
        return False  # it is there all the same
    computed = hasattr(type(declared), "__get__") and not isinstance(declared, FunctionType)
    return not computed and (not name.startswith("_") or _is_plain(value) or name not in _words_of(kind))


def _is_plain(value: Any, depth: int = 3) -> bool:
    """Return whether a value is a few texts and numbers, and nothing that a class has to leave out."""
    if type(value) not in (list, tuple, dict):
        return type(value) in (type(None), bool, int, float, str, bytes)
    inside = [*value, *value.values()] if type(value) is dict else value
    return bool(depth) and len(value) <= _MANY and all(_is_plain(one, depth - 1) for one in inside)


_NOTHING = object()


@functools.cache
def _words_of(kind: type) -> set[str]:
    """Return the names that the code of a class's modules uses: what they call private is theirs."""
    found: set[str] = set()
    for name in {cls.__module__ for cls in kind.__mro__} - {"builtins", "__main__"}:
        inside = list(vars(sys.modules[name]).values()) if name in sys.modules else []
        inside += [one for cls in inside if isinstance(cls, type) for one in list(vars(cls).values())]
        for code in _codes(getattr(one, "__code__", None) for one in inside):
            found.update(code.co_names)
        found.update(word for cls in kind.__mro__ for word in getattr(cls, "__annotations__", ()))
    return found


def _codes(given: Iterable[Any]) -> Iterator[CodeType]:
    for code in given:
        if isinstance(code, CodeType):
            yield code
            yield from _codes(code.co_consts)


def with_left_out(obj: Any, names: Iterable[str], pickler: NamespacePickler) -> Any:
    """Return how an object is made again, with attributes that its class leaves out.

    Args:
        obj: the object.
        names: the attributes; those that it does not have are passed over.
        pickler: the pickler, which takes it apart as its class does.
    """
    reduced = pickler.reduced_by_class(obj)
    inside = attributes_of(obj)
    return _filled(reduced, {name: inside[name] for name in names if name in inside})


def with_given(obj: Any, pickler: NamespacePickler) -> Any:
    """Return how an object is made again, with what the notebook gave it and its class does not store.

    Args:
        obj: the object, of a class that `may_forget`.
        pickler: the pickler, which takes it apart as its class does.
    """
    reduced = pickler.reduced_by_class(obj)
    inside = attributes_of(obj)
    if not inside or not isinstance(reduced, tuple):
        return reduced
    state = reduced[2] if len(reduced) > 2 else None
    stored = [one for one in (state if type(state) is tuple else (state,)) if isinstance(one, dict)]
    if any(one is inside for one in stored):
        return reduced
    kind: type = type(obj)
    given = {name: value for name, value in inside.items() if not any(name in one for one in stored)}
    return _filled(reduced, {n: value for n, value in given.items() if _is_missed(kind, n, value)})


@functools.cache
def may_forget(kind: type) -> bool:
    """Return whether a class of the notebook stores its objects by a method of a library's.

    That may know of few attributes. What the notebook's own `__reduce__` or `__getstate__` leaves out, it
    means to. Of a library's classes nothing is asked: Python makes a `__dict__` for being asked for it, and
    then nobody can tell that only a variable refers to what is in it (`capture.ownership`).
    """
    if kind.__module__ != "__main__" or not may_leave_out(kind) or issubclass(kind, enum.Enum):
        return False
    ways = ("__reduce_ex__", "__reduce__", "__getstate__")
    owners = {next((cls for cls in kind.__mro__ if way in vars(cls)), object) for way in ways} - {object}
    return bool(owners) and not any(cls.__module__ == "__main__" for cls in owners)


def _filled(reduced: Any, given: dict[str, Any]) -> Any:
    if not given or not isinstance(reduced, tuple):
        return reduced
    state, items, pairs, setter = (*reduced[2:], None, None, None, None)[:4]
    return *reduced[:2], (state, setter, given), items, pairs, fill_left_out


def reduce_plainly(obj: Any, pickler: NamespacePickler) -> Any:
    """Return how an object is made again as pickle finds it out: by dispatch tables, else `__reduce_ex__`."""
    by_kind: Mapping[type, Any] = pickler.dispatch_table
    way = by_kind.get(type(obj)) or cloudpickle.Pickler.dispatch_table.get(type(obj))
    way = way or copyreg.dispatch_table.get(type(obj))
    return way(obj) if way is not None else obj.__reduce_ex__(pickler.proto)


@stable_name
def fill_left_out(obj: Any, stored: tuple[Any, Any, dict[str, Any]]) -> None:
    """Set the state of an object that its class stored, and then what that leaves out."""
    state, setter, given = stored
    if setter is not None:
        setter(obj, state)
    elif state is not None:
        _set_state(obj, state)
    obj.__dict__.update(given)


def _set_state(obj: Any, state: Any) -> None:
    """Set the state of an object as pickle does (`load_build` in pickle.py)."""
    if hasattr(obj, "__setstate__"):
        obj.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        obj.__dict__.update({sys.intern(n) if type(n) is str else n: v for n, v in state.items()})
    for name, value in (slots or {}).items():
        setattr(obj, name, value)
