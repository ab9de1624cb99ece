"""The order of sets. It depends on the history of a set, and a restored one has another history.

With the same hashes a set that is filled anew has its elements in other places of its table as often as not.
So where that would be seen, the places are stored, and the restored set gets its elements where they were.
It would also be seen later: where the next elements go depends on the size of the table and on the places
that were left, and `pop` goes on from where it took the one before. Python has no way to say that; the
table is written as `Objects/setobject.c` lays it out, which has been the
same since Python 3.7. A set of which any hash differs here (addresses, another hash seed) is left as it is.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.rebuild import stable_name

_WORD = ctypes.sizeof(ctypes.c_void_p)
_HEAD = 2 * _WORD
"""After count and type come `fill`, `used`, `mask` and `table`; then `hash`, `finger`, `smalltable`."""
_SMALL = _HEAD + 6 * _WORD
_SMALLEST = 7
_ENTRY = 2 * _WORD
_MAX = 1_000_000
"""Larger sets keep no order: their table would take more room than they do."""

_Base = tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]
Layout = _Base | tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...], int]
"""The mask, the places of the elements in their order, those of removed ones, and the hashes.

Where `pop` goes on comes last, when that is not the table's beginning.
"""


def layout_of(one: Any) -> Layout | None:
    """Return where a set has its elements; None where one that is filled anew is the same, and stays so."""
    changes = isinstance(one, set)
    if not (changes or len(one) > 1) or len(one) > _MAX or not _is_known():
        return None
    items = list(set.__iter__(one) if changes else frozenset.__iter__(one))
    if not all(map(_hashes_by_value, items)):
        return None
    anew = set(items)
    if all(mine is theirs for mine, theirs in zip(items, anew, strict=True)) and not (
        changes and _history(one) != _history(anew)
    ):
        return None
    return _read(one)


class Ordered:
    """Stands in a stream for a value; loading it puts the elements of sets before it where they were."""

    def __init__(self, value: Any, layouts: list[tuple[Any, Layout]]) -> None:
        self._parts = value, layouts

    def __reduce__(self) -> Any:
        return make_ordered, self._parts


@stable_name
def make_ordered(value: Any, layouts: list[tuple[Any, Layout]]) -> Any:
    """Return a value, after the elements of sets were put where they were."""
    for one, layout in layouts:
        arrange(one, layout)
    return value


def arrange(one: Any, layout: Layout) -> bool:
    """Put the elements of a set where they were; return False, and change nothing, when that cannot be."""
    mask, places, removed, hashes, *more = layout
    if not _is_known() or len(one) != len(places) or not mask < 1 << 28:
        return False
    by_hash: dict[int, Any] = {}
    for element in one:
        by_hash[hash(element)] = element
    if len(by_hash) != len(places) or by_hash.keys() != set(hashes):
        return False
    table = (ctypes.c_ssize_t * (2 * (mask + 1)))()
    for place, known in zip(places, hashes, strict=True):
        table[2 * place], table[2 * place + 1] = id(by_hash[known]), known
    for place in removed:
        table[2 * place], table[2 * place + 1] = _dummy(), -1
    before = list(one)
    _exchange(one, mask, len(places) + len(removed), table)
    if all(element in one for element in before):
        _finger(one).value = next(iter(more), 0)
        return True
    one_again = set(before)
    _exchange(one, *_parts_of(one_again))
    return False


def _hashes_by_value(element: Any) -> bool:
    kind = type(element)
    if kind in (tuple, frozenset):
        return all(map(_hashes_by_value, element))
    if is_notebooks(kind):  # asking it would run the notebook's code
        return False
    own: Any = kind.__hash__
    return own is not object.__hash__ and (element is not None or sys.version_info >= (3, 12))


def _history(one: Any) -> tuple[int, int, int]:
    """Return what decides where its next elements go: places in use, the mask, and where `pop` goes on."""
    fill, _, mask, _ = _fields(one)
    return fill, mask, _finger(one).value


def _read(one: Any) -> Layout:
    mask, _, table = _parts_of(one)
    places, removed, hashes = [], [], []
    for place in range(mask + 1):
        key, known = table[2 * place], table[2 * place + 1]
        if key and known == -1:
            removed.append(place)
        elif key:
            places.append(place)
            hashes.append(known)
    layout = mask, tuple(places), tuple(removed), tuple(hashes)
    finger = _finger(one).value
    return (*layout, finger) if finger else layout


def _parts_of(one: Any) -> tuple[int, int, Any]:
    """Return mask, fill and a copy of the table."""
    fill, _, mask, table = _fields(one)
    size = 2 * (mask + 1)
    copy = (ctypes.c_ssize_t * size).from_buffer_copy((ctypes.c_ssize_t * size).from_address(table))
    return mask, fill, copy


def _fields(one: Any) -> Any:
    return (ctypes.c_ssize_t * 4).from_address(id(one) + _HEAD)


def _finger(one: Any) -> Any:
    return ctypes.c_ssize_t.from_address(id(one) + _HEAD + 5 * _WORD)


def _exchange(one: Any, mask: int, fill: int, table: Any) -> None:
    """Give a set another table with the same elements; the interpreter's lock is kept all the time.

    A collection of garbage in between could visit the set, so there is none.

    Args:
        one: the set.
        mask: places in the table, less one.
        fill: places in use, those of removed elements included.
        table: array of words: address and hash for each place.

    Raises:
        MemoryError: there is no memory for the table.
    """
    allocate, free = ctypes.pythonapi.PyMem_Malloc, ctypes.pythonapi.PyMem_Free
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    free.restype, free.argtypes = None, [ctypes.c_void_p]
    small = id(one) + _SMALL
    target = small if mask == _SMALLEST else allocate(ctypes.sizeof(table))
    if not target:
        raise MemoryError
    old = _fields(one)[3]
    fields = (ctypes.c_ssize_t * 4)(fill, len(one), mask, target)
    collecting = gc.isenabled()
    gc.disable()
    try:
        if target == small and old == small:
            ctypes.memmove(small, table, ctypes.sizeof(table))
            ctypes.memmove(id(one) + _HEAD, fields, ctypes.sizeof(fields))
            return
        ctypes.memmove(target, table, ctypes.sizeof(table))
        ctypes.memmove(id(one) + _HEAD, fields, ctypes.sizeof(fields))
    finally:
        if collecting:
            gc.enable()
    if old != small:
        free(old)


@cache
def _dummy() -> int:
    """Return the address of the object that marks the place of a removed element."""
    one = {1, 2}
    one.discard(1)
    _, _, table = _parts_of(one)
    return int(next(table[place] for place in range(0, len(table), 2) if table[place + 1] == -1))


@cache
def _is_known() -> bool:
    """Return whether sets of this Python are laid out as this module expects: two are compared."""
    if sys.implementation.name != "cpython" or _WORD != 8 or not getattr(sys, "_is_gil_enabled", _yes)():
        return False
    if set.__basicsize__ != _SMALL + 8 * _ENTRY + _WORD:
        return False
    for size in (3, 40):
        one = {str(number) for number in range(size)}
        fill, used, mask, _ = _fields(one)
        if (fill, used) != (size, size) or mask & (mask + 1) or not size < mask < 8 * size:
            return False
        _, _, table = _parts_of(one)
        found = [table[place] for place in range(0, len(table), 2) if table[place]]
        if found != list(map(id, one)):
            return False
    return True


def _yes() -> bool:
    return True


def layouts_in(values: Iterable[Any]) -> list[tuple[Any, Layout]]:
    """Return the sets among objects whose order would be lost, and where they have their elements."""
    return [
        (one, layout)
        for one in values
        if isinstance(one, set | frozenset) and (layout := layout_of(one)) is not None
    ]
