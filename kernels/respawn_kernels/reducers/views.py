"""How what looks into another object is taken apart: views of dicts, `mappingproxy`, iterators, memoryviews.

Each stays attached to what it looks into. Where no attribute gives that object, `gc.get_referents` does.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import collections
import gc
import itertools
import operator
import pickle
from collections.abc import Iterable, Iterator, Mapping
from types import GetSetDescriptorType, MappingProxyType
from typing import Any

from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name

_ORDERED: Any = collections.OrderedDict()
_VIEWS: dict[type, str] = {
    **{type({}.keys()): "keys", type({}.values()): "values", type({}.items()): "items"},
    **{type(_ORDERED.keys()): "keys", type(_ORDERED.values()): "values", type(_ORDERED.items()): "items"},
}
_ITERATORS: dict[type, tuple[str, bool]] = {
    type(iter({})): ("keys", False),
    type(iter({}.values())): ("values", False),
    type(iter({}.items())): ("items", False),
    type(reversed({})): ("keys", True),
    type(reversed({}.values())): ("values", True),
    type(reversed({}.items())): ("items", True),
}


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions."""
    found: dict[type, Reducer] = dict.fromkeys(_VIEWS, _view)
    found |= dict.fromkeys(_ITERATORS, _dict_iterator)
    found[MappingProxyType] = _proxy
    found[type(iter(set()))] = _set_iterator
    found[memoryview] = _memoryview
    found[itertools.groupby] = _groupby
    return found


def _view(view: Any, _pickler: NamespacePickler) -> Any:
    [owner] = gc.get_referents(view)
    return make_view_of_dict, (owner, _VIEWS[type(view)])


@stable_name
def make_view_of_dict(owner: Any, what: str) -> Any:
    """Return the keys, values or items of a dict, whatever its class says they are."""
    kind: Any = collections.OrderedDict if isinstance(owner, collections.OrderedDict) else dict
    return getattr(kind, what)(owner)


def _groupby(groups: Any, _pickler: NamespacePickler) -> Any:
    """Refuse one whose current group has begun: Python stores no place in it, and it would begin again."""
    inside = [one for one in gc.get_referents(groups) if one is not itertools.groupby]
    if len(inside) > _AT_FIRST and len(groups.__reduce__()) == _WITHOUT_STATE:
        raise pickle.PicklingError("a groupby whose current group has begun")
    return NotImplemented


_AT_FIRST = 2
"""What it refers to before it is used: an iterator and a function for keys."""
_WITHOUT_STATE = 2


def _proxy(proxy: Any, _pickler: NamespacePickler) -> Any:
    [owner] = gc.get_referents(proxy)
    if type(owner) is dict:
        for name in ("__dict__", "__weakref__"):
            descriptor = owner.get(name)
            if isinstance(descriptor, GetSetDescriptorType) and _has_dict(descriptor.__objclass__, owner):
                return make_proxy_of_class, (descriptor.__objclass__,)
        if "__module__" in owner and "__doc__" in owner:
            raise pickle.PicklingError("a mappingproxy of a class with slots")
    return MappingProxyType, (owner,)


def _has_dict(cls: type, inside: dict[str, Any]) -> bool:
    return any(one is inside for one in gc.get_referents(cls))


@stable_name
def make_proxy_of_class(cls: type) -> Any:
    """Return what `vars` of a class returns."""
    return type.__dict__["__dict__"].__get__(cls)


def _dict_iterator(iterator: Any, _pickler: NamespacePickler) -> Any:
    what, backwards = _ITERATORS[type(iterator)]
    owner = next((one for one in gc.get_referents(iterator) if isinstance(one, dict)), None)
    if owner is None:
        return make_dict_iterator, ({}, what, backwards, 0)
    passed = len(owner) - operator.length_hint(iterator)
    [rest] = iterator.__reduce__()[1]  # a list of what is left; it does not move the iterator itself
    if not _are_same(rest, make_dict_iterator(owner, what, backwards, passed)):
        raise pickle.PicklingError("an iterator of a dict that was changed meanwhile")
    return make_dict_iterator, (owner, what, backwards, passed)


@stable_name
def make_dict_iterator(owner: Any, what: str, backwards: bool, passed: int) -> Iterator[Any]:
    """Return an iterator of a dict from its present place on.

    Args:
        owner: the dict.
        what: `keys`, `values` or `items`.
        backwards: whether it began at the end.
        passed: how many items it has given already.
    """
    view = make_view_of_dict(owner, what)
    if type(owner) is not dict:
        view = getattr(dict, what)(owner)
    iterator: Iterator[Any] = reversed(view) if backwards else iter(view)
    for _ in range(passed):
        next(iterator)
    return iterator


def _are_same(some: Iterable[Any], others: Iterable[Any]) -> bool:
    ours, theirs = list(some), list(others)
    return len(ours) == len(theirs) and all(
        one is other or (type(one) is type(other) is tuple and all(map(operator.is_, one, other)))
        for one, other in zip(ours, theirs, strict=True)
    )


def _set_iterator(iterator: Any, _pickler: NamespacePickler) -> Any:
    owner = next((one for one in gc.get_referents(iterator) if isinstance(one, set | frozenset)), None)
    if owner is not None and operator.length_hint(iterator) not in (0, len(owner)):
        raise pickle.PicklingError("an iterator in the middle of a set")
    left = owner is not None and operator.length_hint(iterator) == len(owner)
    return make_set_iterator, (owner if left else frozenset(),)


@stable_name
def make_set_iterator(owner: Any) -> Iterator[Any]:
    """Return an iterator of a set from its first element."""
    return iter(owner)


def _memoryview(view: memoryview, _pickler: NamespacePickler) -> Any:
    whole = memoryview(view.obj)
    if not (view.c_contiguous and whole.c_contiguous and view.nbytes == whole.nbytes):
        raise pickle.PicklingError("a memoryview of a part of its object")
    from respawn_kernels.reducers.python_objects import make_memoryview

    return make_memoryview, (view.obj, view.format, view.shape, view.readonly)
