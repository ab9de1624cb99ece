"""Memory that objects of C libraries expose, and its owner: a tree over an array, a column over a bytearray.

Such an object refers to the memory, not to its owner, so pickling meets no object that the two share. Each
known interface is asked for memory: the buffer protocol (PEP 3118), `__array_interface__`, Arrow's C
interface, and arrays that an object written in C refers to without storing them. No content is read.
"""

from __future__ import annotations

import array
import ctypes
import gc
import pickle
import sys
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import accumulate
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from respawn_kernels.introspection.class_origin import HEAP_TYPE, is_made_in_c
from respawn_kernels.memory.array_memory import root_of

Range = tuple[int, int]
"""Address of the first byte of memory, and the one past its last."""
_Way = Callable[[Any, Collection[int]], list[Range]]

_OWNERS: tuple[type, ...] = (bytearray, array.array, *ctypes.Array.__mro__[1:-1])
"""Objects of Python that have memory which others may be given."""
_SHOW_NOTHING = (str, bytes, type, ModuleType, memoryview, pickle.PickleBuffer, BaseException)
_CONTAINERS = {list, dict, tuple, set, frozenset, deque, FunctionType, CellType, MethodType, type(None)}
_OWN_WAYS = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")


def owns_memory(one: Any) -> bool:
    """Return whether an object of Python has memory of its own which others may be given."""
    return isinstance(one, _OWNERS) and bool(getattr(one, "_b_needsfree_", True))


def address_of(view: Any) -> int:
    """Return where the memory of a buffer begins; it may be read-only."""
    import numpy as np

    return int(np.frombuffer(view, np.uint8).__array_interface__["data"][0])


class Exposed:
    """Finds the memory that objects expose; how a class does so is found out once."""

    def __init__(self, stored: Collection[type]) -> None:
        """Begin.

        Args:
            stored: types with a reducer, which stores their memory as it is shared.
        """
        self._ways: dict[type, _Way | None] = dict.fromkeys(_CONTAINERS)
        self._stored = stored

    def of(self, objects: Iterable[Any], met: Collection[int]) -> list[Range]:
        """Return the memory that objects expose; that of arrays is known without.

        Args:
            objects: the objects.
            met: ids of all objects that are stored; these are asked for memory by themselves.
        """
        found: list[Range] = []
        for one in objects:
            kind = type(one)
            try:
                way = self._ways[kind]
            except KeyError:
                way = self._ways[kind] = self._way(kind, one)
            if way is not None:
                found += way(one, met)
        return found

    def is_silent(self, kind: type) -> bool:
        """Return whether objects of a class are known to expose no memory; of arrays `of` does not know."""
        return self._ways.get(kind, _of_references) is None and kind.__name__ != "ndarray"

    def _way(self, kind: type, one: Any) -> _Way | None:
        numpy = sys.modules.get("numpy")
        if numpy is None or issubclass(kind, (*_SHOW_NOTHING, numpy.ndarray, numpy.generic)):
            return None
        if f"{kind.__module__}.{kind.__qualname__}" == "PIL.Image.Image":
            return _of_image
        python = isinstance(getattr(kind, "__buffer__", None), FunctionType)  # the notebook's code
        if not python and _buffer(one, ()) is not None:
            return lambda one, met: _buffer(one, met) or []
        if kind in self._stored:
            return None
        interface = getattr(kind, "__array_interface__", None)
        if interface is not None and not isinstance(interface, property):
            return _of_interface
        has_own_way = any(name in vars(cls) for cls in kind.__mro__[:-1] for name in _OWN_WAYS)
        return _of_references if has_own_way and _is_in_c(kind) else None


def _buffer(one: Any, _met: Collection[int]) -> list[Range] | None:
    """Return the memory of a buffer; None for an object that has none."""
    try:
        with memoryview(one) as view:
            return [(start := address_of(view), start + view.nbytes)] if view.nbytes else []
    except TypeError:
        return None
    except (ValueError, BufferError):  # it is closed, or not contiguous
        return []


def _of_interface(one: Any, _met: Collection[int]) -> list[Range]:
    interface = one.__array_interface__
    data = interface.get("data")
    if not isinstance(data, tuple) or interface.get("strides") is not None:
        return []
    import numpy as np

    size = np.dtype(interface["typestr"]).itemsize
    for length in interface["shape"]:
        size *= length
    return [(data[0], data[0] + size)] if size else []


def _is_in_c(kind: type) -> bool:
    """Return whether objects of a class have parts that only C knows; those of Python have attributes."""
    classes = [cls for cls in kind.__mro__ if cls.__module__ != "builtins"]
    return any(not cls.__flags__ & HEAP_TYPE or is_made_in_c(cls) for cls in classes)


def _of_references(one: Any, met: Collection[int]) -> list[Range]:
    """Return the memory of arrays that an object in C refers to and does not store as they are."""
    import numpy as np

    found: list[Range] = []
    for other in gc.get_referents(one):  # not its `__dict__`: Python would make one for being asked
        if id(other) in met:
            continue
        if type(other) is np.ndarray and other.nbytes and other.flags.forc:
            found.append((start := other.__array_interface__["data"][0], start + other.nbytes))
        elif isinstance(other, _OWNERS):
            found += _buffer(other, ()) or []
    return found


# Not by setting types of `ctypes.pythonapi`'s own function, which the notebook may use as well.
_pointer_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_POINTERS = 5
"""Where Arrow's C structure of an array has the place of its buffers, in words."""


_TWO_BUFFERS = 2
"""Which values are there, and the values."""


def _of_image(image: Any, _met: Collection[int]) -> list[Range]:
    place = image_memory(image)
    return [place] if place is not None else []


def image_memory(image: Any) -> Range | None:
    """Return the memory that a Pillow image was given, as by `Image.fromarray`; None for one with its own."""
    if not getattr(image, "readonly", 0) or image._im is None or not hasattr(image, "__arrow_c_array__"):
        return None
    sizes = {"L": 1, "P": 1, "1": 1, "I;16": 2, "I;16L": 2, "I;16B": 2}
    try:
        _, capsule = image.__arrow_c_array__()
    except Exception:  # noqa: BLE001  modes and layouts that Arrow has no name for
        return None
    start = _first_buffer(capsule)
    size = image.width * image.height * sizes.get(image.mode, 4)
    return (start, start + size) if start else None


def _first_buffer(capsule: Any) -> int:
    """Return where the values of an array lie (https://arrow.apache.org/docs/format/CDataInterface.html)."""
    words = (ctypes.c_int64 * (_POINTERS + 2)).from_address(_pointer_in(capsule, b"arrow_array"))
    children = (ctypes.c_void_p * 1).from_address(words[_POINTERS + 1]) if words[4] else None
    if children is not None:
        words = (ctypes.c_int64 * (_POINTERS + 1)).from_address(children[0] or 0)
    if words[3] < _TWO_BUFFERS:
        return 0
    return int((ctypes.c_void_p * 2).from_address(words[_POINTERS])[1] or 0)


class MemoryOwners:
    """Objects that own memory which can be written to, by where it lies."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._found: list[tuple[int, int, Any]] = []

    def know(self, objects: Iterable[Any]) -> None:
        """Use these objects, and no others."""
        self._found = sorted(lent(objects), key=lambda one: one[:2])
        self._starts = [start for start, _, _ in self._found]

    def find(self, start: int, size: int) -> tuple[Any, int] | None:
        """Return the object in whose memory a range lies, and the range's offset in bytes; None for none.

        Args:
            start: address of the range.
            size: its bytes.
        """
        place = bisect_right(self._starts, start) - 1
        if place < 0 or not size:
            return None
        begin, end, owner = self._found[place]
        return (owner, start - begin) if start + size <= end else None

    def lend(self, ranges: Iterable[Range]) -> bool:
        """Return whether two of these ranges lie in one object: its own memory, and that of a borrower."""
        met: set[int] = set()
        for start, end in ranges:
            found = self.find(start, end - start)
            if found is not None and id(found[0]) in met:
                return True
            met.update([id(found[0])] if found is not None else ())
        return False

    def forget(self) -> None:
        """Refer to no object any longer."""
        self._starts, self._found = [], []


def lent(objects: Iterable[Any]) -> Iterator[tuple[int, int, Any]]:
    """Yield objects that own memory which can be written to, and where it is."""
    numpy = sys.modules.get("numpy")
    for one in objects:
        if numpy is not None and type(one) is numpy.ndarray:
            if one.nbytes and one.flags.forc and one.flags.writeable and _is_root(one):
                yield (start := one.__array_interface__["data"][0]), start + one.nbytes, one
        elif owns_memory(one):
            for start, end in _buffer(one, ()) or []:
                yield start, end, one


def _is_root(one: Any) -> bool:
    return one.base is None or root_of(one) is one


def no_longer_shared(
    exposed: Exposed, before: Mapping[int, Any], after: Mapping[int, Any]
) -> tuple[int, int] | None:
    """Return the places of an object and of the owner of memory in which it lay, and does not lie now.

    Args:
        exposed: finds the memory of objects.
        before: objects as they were, by their place in the pickler's memo.
        after: the same objects as they came back, by the same places.

    Returns:
        The places of borrower and owner; None when all that was shared is shared still.
    """
    met, now = set(map(id, before.values())), set(map(id, after.values()))
    # Most objects show no memory: of their classes that is known after the first.
    borrowers = [
        (*shown, place)
        for place, one in before.items()
        if not exposed.is_silent(type(one))
        for shown in _borrowed(exposed, one, met)
    ]
    if not borrowers:
        return None
    owners = sorted((start, end, place) for place, one in before.items() for start, end, _ in lent([one]))
    starts = [start for start, _, _ in owners]
    reach = list(accumulate((end for _, end, _ in owners), max))
    for start, end, place in borrowers:
        at = bisect_left(starts, end)
        while at and reach[at - 1] > start:
            at -= 1
            owner = owners[at][2]
            if owners[at][1] <= start or owner == place or not {owner, place} <= after.keys():
                continue
            lies = [*_borrowed(exposed, after[place], now)]
            owned = [(first, last) for first, last, _ in lent([after[owner]])]
            if not any(low < last and first < high for low, high in lies for first, last in owned):
                return place, owner
    return None


def _borrowed(exposed: Exposed, one: Any, met: Collection[int]) -> Iterable[Range]:
    """Return the memory that an object exposes; of arrays only of those in memory that is no array's."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and type(one) is numpy.ndarray:
        return [(start, end) for start, end, _ in lent([one])] if one.base is not None else []
    return exposed.of([one], met)


def bytes_of(owner: Any) -> Any:
    """Return an array of the bytes of an object that owns memory."""
    import numpy as np

    if isinstance(owner, np.ndarray):
        return owner.ravel(order="K").view(np.uint8)
    return np.frombuffer(owner, np.uint8)
