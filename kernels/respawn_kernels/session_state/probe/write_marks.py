"""Marks of containers that differ once a container was written to, read without a reference to what it holds.

To compare what a container holds is to count references to each value, and so to write to its memory.
Between the cells of a run that costs most: a process shares its pages with the child that it has forked, and
the system copies each page that is written. A look at these marks writes to none. (process_vm_readv(2) would
not do: it has each page copied that it reads, since Linux 6.0.)

The mark of a dict is the version that CPython gives it with each change (PEP 509; PEP 699 takes it away from
Python 3.14 on). Attributes that lie in their object from Python 3.13 on give their dict no version; they and
lists and sets have a hash of the addresses of what they hold as their mark. Layouts are those of CPython's
headers (Include/cpython/dictobject.h, listobject.h, setobject.h, Include/internal/pycore_dict.h).
"""

from __future__ import annotations

import ctypes
import gc
import platform
import struct
import sys
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import repeat
from operator import add, eq, lshift, mul
from typing import Any

_WORD = 8
_SPACE = 1 << 48
"""Addresses of a process: of those that systems with four levels of page tables give."""
_VERSION, _VALUES = 3, 5
"""Of a dict (`ma_version_tag`, `ma_values`), in words from its beginning on."""
_SIZE, _ELEMENTS = 2, 3
"""Of a list (`ob_size`, `ob_item`)."""
_MASK, _TABLE = 4, 5
"""Of a set (`mask`, `table`)."""
_ATTRIBUTES_IN_OBJECT = sys.version_info >= (3, 13)

# All memory of this process. Of objects that are kept alive it may be read, and nowhere else.
_words: Any = (ctypes.c_uint64 * (_SPACE // _WORD)).from_address(0).__getitem__
_bytes: Any = (ctypes.c_char * _SPACE).from_address(0).__getitem__


class WriteMarks:
    """Which of some containers were written to since somebody looked.

    Args:
        containers: dicts, lists and sets, and instances of subclasses; they must stay alive.
    """

    def __init__(self, containers: Iterable[Any]) -> None:
        self._marks = [_Versions(), _lists(), _sets(), _InObjects()]
        self._without: set[int] = set()
        count = -1
        for count, container in enumerate(containers):
            marks = next((one for one in self._marks if one.takes(container)), None)
            if marks is None or not _are_as_expected():
                self._without.add(count)
            else:
                marks.add(count, container)
        self._open = set(range(count + 1))
        """Containers that were written to since `note` was called for them."""

    def differing(self) -> list[int]:
        """Return the places of containers that may have been written to since `note` was called for them."""
        # Nothing may run between two looks at one container, and a collection runs finalizers.
        collects = gc.isenabled()
        gc.disable()
        try:
            for marks in self._marks:
                self._open.update(marks.written())
        finally:
            if collects:
                gc.enable()
        return sorted(self._open)

    def note(self, at: int) -> None:
        """Note that a container is seen as it was when `differing` was asked last."""
        if at not in self._without:
            self._open.discard(at)


class _Marks:
    """Containers of one kind, and their marks when they were read last.

    Marks are read by functions in C alone, so that no other thread runs while a container is read. Nothing
    of what is kept here is an object of its own, which reading would count a reference to.
    """

    def __init__(self) -> None:
        self._members = array("Q")
        self._first = array("Q")
        """Place of a word of each container."""
        self._second = array("Q")
        """Place of another word, or a number of bytes."""
        self._latest = array("Q")

    def takes(self, container: Any) -> bool:
        """Return whether a container is of this kind."""
        raise NotImplementedError

    def read(self) -> Iterator[int]:
        """Return the marks."""
        return map(_unsigned, map(hash, map(_bytes, map(slice, *self.bounds()))))

    def bounds(self) -> tuple[Iterator[int], Iterator[int]]:
        """Return where what each container holds lies, and where it ends."""
        raise NotImplementedError

    def add(self, at: int, container: Any) -> None:
        """Add a container by its place among all."""
        word = id(container) // _WORD
        self._members.append(at)
        self._first.append(word + self.words[0])
        self._second.append(word + self.words[1])

    words = (0, 0)

    def written(self) -> list[int]:
        """Return the places of containers whose marks differ from what they were."""
        if len(self._latest) == len(self._members) and all(map(eq, self.read(), self._latest)):
            return []
        before, self._latest = self._latest, array("Q", self.read())
        if len(before) != len(self._latest):
            return list(self._members)
        members = zip(self._members, before, self._latest, strict=True)
        return [at for at, old, new in members if old != new]


_unsigned = ((1 << 64) - 1).__and__


class _Versions(_Marks):
    words = (_VERSION, _VERSION)

    def takes(self, container: Any) -> bool:
        kind = type(container)
        # The order of an OrderedDict is kept beside the dict.
        if not issubclass(kind, dict) or issubclass(kind, OrderedDict):
            return False
        return not (_ATTRIBUTES_IN_OBJECT and _words(id(container) // _WORD + _VALUES))

    def read(self) -> Iterator[int]:
        return map(_words, self._first)


class _Addresses(_Marks):
    """Containers whose head says where what they hold lies, and how many entries it has.

    Args:
        kind: list or set.
        words: place of the address and of the number of entries, in words from the container's beginning on.
        more: entries beside that number.
        shift: the size of an entry, as a power of two bytes.
    """

    def __init__(self, kind: type, words: tuple[int, int], more: int, shift: int) -> None:
        super().__init__()
        self._kind, self._more, self._shift = kind, more, shift
        self.words = words

    def takes(self, container: Any) -> bool:
        return issubclass(type(container), self._kind)

    def bounds(self) -> tuple[Iterator[int], Iterator[int]]:
        entries = map(add, map(_words, self._second), repeat(self._more))
        sizes = map(lshift, entries, repeat(self._shift))
        return map(_words, self._first), map(add, map(_words, self._first), sizes)


def _lists() -> _Marks:
    return _Addresses(list, (_ELEMENTS, _SIZE), 0, 3)


def _sets() -> _Marks:
    """An entry is a key and its hash; the mask is one less than their number."""
    return _Addresses(set, (_TABLE, _MASK), 1, 4)


class _InObjects(_Marks):
    """Dicts of objects in which the attributes themselves lie; one that was cleared is a dict like others."""

    words = (_VALUES, 0)

    def takes(self, container: Any) -> bool:
        kind = type(container)
        return kind is dict and _ATTRIBUTES_IN_OBJECT and _words(id(container) // _WORD + _VALUES) != 0

    def add(self, at: int, container: Any) -> None:
        super().add(at, container)
        capacity = _bytes(_words(self._first[-1]))[0]
        # Four bytes in a word, the values, and a byte for the place of each in their order.
        self._second[-1] = _WORD + capacity * (_WORD + 1)

    def bounds(self) -> tuple[Iterator[int], Iterator[int]]:
        sizes = map(mul, map(bool, map(_words, self._first)), self._second)
        return map(_words, self._first), map(add, map(_words, self._first), sizes)

    def read(self) -> Iterator[int]:
        versions = map(_words, map(add, self._first, repeat(_VERSION - _VALUES)))
        return map(_unsigned, map(add, super().read(), versions))


class _Tried:
    def __init__(self) -> None:
        self.a = 1


@cache
def _are_as_expected() -> bool:
    """Return whether this Python's containers have the marks, and renew them with each change."""
    if platform.python_implementation() != "CPython" or not (3, 11) <= sys.version_info < (3, 14):
        return False
    if struct.calcsize("P") != _WORD:
        return False
    some: dict[str, int] = {"a": 1}
    tried = _Tried()
    if id(some) >= _SPACE:
        return False
    elements, members = [1, 2], {1, 2}
    word = id(elements) // _WORD, id(members) // _WORD
    if _words(word[0] + _SIZE) != len(elements) or not 2 <= _words(word[1] + _MASK) < 64:
        return False
    changes: list[tuple[_Marks, Any, Callable[[], object]]] = [
        (_Versions(), some, lambda: some.update(a=2)),
        (_Versions(), some, lambda: some.pop("a")),
        (_InObjects() if _ATTRIBUTES_IN_OBJECT else _Versions(), vars(tried), lambda: setattr(tried, "a", 2)),
        (_InObjects() if _ATTRIBUTES_IN_OBJECT else _Versions(), vars(tried), lambda: setattr(tried, "b", 2)),
        (_lists(), elements, lambda: elements.__setitem__(0, 3)),
        (_lists(), elements, elements.pop),
        (_sets(), members, lambda: members.add(3)),
        (_sets(), members, lambda: members.discard(1)),
    ]
    return all(_is_seen(marks, container, change) for marks, container, change in changes)


def _is_seen(marks: _Marks, container: Any, change: Callable[[], object]) -> bool:
    marks.add(0, container)
    marks.written()
    unchanged = marks.written() == []
    change()
    return unchanged and marks.written() == [0]
