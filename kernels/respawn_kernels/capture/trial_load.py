"""Loading a group that was just written, beside the original, and comparing the two.

What came back is pickled as the original was, and the two streams must make the same objects: every type,
every value, and who is the same object. Large memory is not copied for that: it lies where the original's
is, and its digest is what it is stored under. An instance that its own class stored (`__reduce__`,
`__getstate__`) must have the attributes that it had.
"""

from __future__ import annotations

import builtins
import ctypes
import enum
import io
import itertools
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

from respawn_kernels.capture.moved_keys import moved_key
from respawn_kernels.introspection import equality
from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.memory.exposed_memory import Exposed, no_longer_shared
from respawn_kernels.pickling import omitted_attributes
from respawn_kernels.pickling.instances import way_of
from respawn_kernels.pickling.iterator_warnings import unwarned
from respawn_kernels.pickling.namespace_pickler import (
    PREAMBLE,
    CarefulPickler,
    NamespacePickler,
    NamespaceUnpickler,
    reason,
)
from respawn_kernels.pickling.references import resolving
from respawn_kernels.reducers import borrowed_memory
from respawn_kernels.reducers.arrays import reducers
from respawn_kernels.streams import deep_nesting, stream_comparison

_DEPTH, _MANY = 3, 100
"""How deep the items in an attribute are counted, and of how many items at most."""
_COPIED = 1 << 20
"""Smaller buffers are copied, so that a constructor that writes to one does not change the original."""


@dataclass(frozen=True)
class Written:
    """A group that was just written."""

    names: list[str]
    data: Callable[[], bytes]
    """Returns the stream, which is read only when its group's turn comes."""
    buffers: list[pickle.PickleBuffer]
    careful: bool
    """References were written for text whose identity can be seen."""


class CannotTell(Exception):
    """A control signal: it cannot be decided whether a variable comes back as it was."""


class ComesBackOtherwise(Exception):
    """A control signal: which variable does not load or comes back different, and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name)
        self.name = name
        self.why = why


@dataclass
class _Pickled:
    data: bytes = b""
    places: list[tuple[int, int]] = field(default_factory=list)
    buffers: list[pickle.PickleBuffer] = field(default_factory=list)
    memo: Mapping[int, tuple[int, Any]] = field(default_factory=dict)


class Rehearsal:
    """Groups of one capture, loaded into a namespace of their own. For a process that ends afterwards."""

    def __init__(
        self,
        groups: list[Written],
        values: Mapping[str, Any],
        namespace: dict[str, Any],
        named: Mapping[int, str],
        known: Mapping[int, str],
        asked: set[str],
        kept: Mapping[str, set[str]],
        about: Callable[[str], None],
    ) -> None:
        """Begin; `__main__` is an empty module from now on.

        Args:
            groups: what was written; `check` takes the place of a group in this list.
            values: every variable, as it is, by name.
            namespace: the live namespace.
            named: names of the functions and classes of the notebook that are variables, by their `id`.
            known: references to text by its id, see `CarefulPickler`.
            asked: names of classes whose own `__reduce__` or `__getstate__` stored their instances.
            kept: attributes that classes leave out and that are stored all the same, by the class's name.
            about: called with the name of each variable before it is loaded.
        """
        self._groups = groups
        self._values = values
        self._live = namespace
        self._named = dict(named)
        self._known = known
        self._asked = asked
        self._kept = kept
        self._about = about
        self._kinds: dict[type, bool] = {}
        self._exposed = Exposed(set(reducers()) - set(borrowed_memory.reducers()))
        self._may: dict[type, bool] = {}
        self._place = {name: place for place, group in enumerate(groups) for name in group.names}
        self._loaded: dict[int, dict[str, Any]] = {}
        main = ModuleType("__main__")
        self._main = sys.modules["__main__"] = main
        vars(main)["__builtins__"] = builtins

    def check(self, place: int) -> dict[str, list[str]]:
        """Load a group and compare it with the original.

        Args:
            place: of the group among those that were given.

        Returns:
            The attributes that objects come back without, by the name of their class.

        Raises:
            ComesBackOtherwise: a variable of it does not load, or comes back different.
            CannotTell: the two cannot be compared.
        """
        group = self._groups[place]
        loaded = self._load(place)
        main = vars(self._main)
        main.update(loaded)  # functions of modules that a cell made are found there
        try:
            lacks = self._compare_with(group, loaded)
        finally:
            for name in loaded:
                main.pop(name, None)
        if not any(_is_named(value) for value in loaded.values()):
            self._loaded.pop(place, None)
        return lacks

    def _compare_with(self, group: Written, loaded: Mapping[str, Any]) -> dict[str, list[str]]:
        before = self._pickled(group, self._values, self._live)
        after = self._pickled(group, loaded, vars(self._main))
        alike = len(before.buffers) != len(after.buffers) or _is_same_memory(before, after)
        # Libraries write memory out that nobody has set, such as the gaps between fields.
        if not alike and not all(equality.same(self._values[name], loaded[name]) for name in group.names):
            raise CannotTell("its memory is not the same bytes")
        self._compare(group, loaded, before, after)
        self._compare_keys(group, before)
        self._compare_memory(group, before, after)
        return self._compare_attributes(group, before, after)

    def _compare(self, group: Written, loaded: Mapping[str, Any], before: _Pickled, after: _Pickled) -> None:
        if before.data == after.data:
            return
        try:
            made = [stream_comparison.made_by(one.data, one.places) for one in (before, after)]
        except stream_comparison.TooLarge:
            return
        same = stream_comparison.Likeness()
        for name, mine, theirs in zip(group.names, *made, strict=True):
            found = same.difference(mine, theirs)
            if found is None:
                continue
            if not found.inside:
                raise ComesBackOtherwise(name, f"it comes back different: {found.text}")
            # How a library stores an object may be another way afterwards, with the same object.
            if not equality.same(self._values[name], loaded[name]):
                raise CannotTell(found.text)

    def populate(self) -> None:
        """Put the variables into `__main__`: a restore tries once more when the others are there."""
        vars(self._main).update({n: v for n, v in self._values.items() if not n.startswith("#")})

    def _load(self, place: int) -> dict[str, Any]:
        if place in self._loaded:
            return self._loaded[place]
        group = self._groups[place]
        self._loaded[place] = {}  # classes that require each other are one group; this ends a loop
        buffers = _aliases(group.buffers)
        unpickler = NamespaceUnpickler(io.BytesIO(group.data()), vars(self._main), buffers)
        found: dict[str, Any] = {}
        try:
            with resolving(self._resolve), unwarned():
                unpickler.load()  # the preamble
                for name in group.names:
                    self._about(name)
                    found[name] = unpickler.load()
        except BaseException as error:
            # Loading runs anybody's code; whatever that raises, a group is loaded wholly or not at all.
            del self._loaded[place]
            if isinstance(error, Exception) and not isinstance(error, MemoryError | ComesBackOtherwise):
                raise ComesBackOtherwise(name, f"it does not load: {reason(error)}") from error
            raise
        self._loaded[place] = found
        for name, value in found.items():
            if _is_named(value):
                self._named.setdefault(id(value), name)
        return found

    def _resolve(self, name: str) -> Any:
        if _is_named(self._values[name]) and name in self._place:
            return self._load(self._place[name])[name]
        return self._values[name]

    def _pickled(self, group: Written, values: Mapping[str, Any], namespace: dict[str, Any]) -> _Pickled:
        """Pickle variables as the writer does."""
        try:
            return self._once(group, values, namespace, deeply=False)
        except (RecursionError, pickle.PicklingError) as error:
            if not isinstance(error, RecursionError) and not isinstance(error.__cause__, RecursionError):
                raise
        return self._once(group, values, namespace, deeply=True)

    def _once(
        self, group: Written, values: Mapping[str, Any], namespace: dict[str, Any], *, deeply: bool
    ) -> _Pickled:
        found, file = _Pickled(), io.BytesIO()

        def keep(buffer: pickle.PickleBuffer) -> bool:
            found.buffers.append(buffer)
            return False

        kind = _Careful if group.careful else _Plain
        pickler = kind(file, namespace, keep, reducers=reducers(), named=self._named)
        pickler.asked.update(self._asked)
        pickler.left_out.update(self._kept)
        mine = {id(values[name]) for name in group.names}
        if isinstance(pickler, CarefulPickler):
            pickler.know({key: state for key, state in self._known.items() if key not in mine})
        file.write(PREAMBLE)
        pickler.start(mine & self._named.keys())
        with unwarned():
            for name in group.names:
                start = file.tell()
                if deeply:
                    deep_nesting.dump(pickler, values[name], file, keep)
                else:
                    pickler.dump(values[name])
                found.places.append((start, file.tell()))
        found.data, found.memo = file.getvalue(), pickler.memo.copy()
        return found

    def _compare_keys(self, group: Written, before: _Pickled) -> None:
        """Find out whether dicts and sets still find each of their keys; a loaded one does."""
        for place, value in before.memo.values():
            if (kind := moved_key(value)) is not None:
                why = f"the hash of a key ({kind.__name__}) has changed since it was put in"
                raise ComesBackOtherwise(self._name_at(group, before, place), why)

    def _compare_memory(self, group: Written, before: _Pickled, after: _Pickled) -> None:
        """Find out whether what lay in the memory of another object does so still."""
        found = no_longer_shared(self._exposed, dict(before.memo.values()), dict(after.memo.values()))
        if found is not None:
            mine, others = (self._name_at(group, before, place) for place in found)
            other = others if others != mine else "another part of it"
            raise ComesBackOtherwise(mine, f"it no longer shares memory with {other}")

    def _name_at(self, group: Written, pickled: _Pickled, place: int) -> str:
        """Return the variable in which an object was met first."""
        for name, (_, end) in zip(group.names, pickled.places, strict=True):
            if place < stream_comparison.memoized(pickled.data[:end]):
                return name
        return group.names[-1]

    def _compare_attributes(self, group: Written, before: _Pickled, after: _Pickled) -> dict[str, list[str]]:
        """Return the attributes that objects lack now, by the name of their class."""
        theirs = dict(after.memo.values())
        found: dict[str, set[str]] = {}
        for place, value in before.memo.values():
            kind = type(value)
            if not self._may_leave_out(kind) or (other := theirs.get(place)) is value:
                continue
            if type(other).__qualname__ != kind.__qualname__:
                continue
            lacks = self._lacks(group, value, other)
            if lacks:
                found.setdefault(omitted_attributes.name_of_class(kind), set()).update(lacks)
        return {name: sorted(lacks) for name, lacks in found.items()}

    def _lacks(self, group: Written, value: Any, other: Any) -> list[str]:
        if not self._defines_equality(type(value)):
            return omitted_attributes.missing(value, other)
        mine, others = omitted_attributes.attributes_of(value), omitted_attributes.attributes_of(other)
        less = [name for name in mine if name in others and _extent(others[name]) < _extent(mine[name])]
        if less:
            missing = ", ".join(sorted(map(str, less)))
            raise ComesBackOtherwise(group.names[0], f"it comes back without {missing}")
        return [name for name in mine if name not in others]

    def _may_leave_out(self, kind: type) -> bool:
        if kind not in self._may:
            self._may[kind] = omitted_attributes.may_leave_out(kind)
        return self._may[kind]

    def _defines_equality(self, kind: type) -> bool:
        """Return whether a class of the notebook, or its base in a library, says how instances are stored."""
        if kind not in self._kinds:
            mine = is_notebooks(kind) and not issubclass(kind, type) and hasattr(kind, "__dict__")
            asks = mine and (f"{kind.__module__}.{kind.__qualname__}" in self._asked or way_of(kind) is None)
            self._kinds[kind] = asks and not issubclass(kind, BaseException | enum.Enum)
        return self._kinds[kind]


class _Plain(NamespacePickler):
    """Treats each `__dict__` as one that others refer to, so that both streams record it in the same way.

    Reference counts would differ: more refers to the original than to the copy.
    """

    def is_lent(self, inside: dict[str, Any], references: int) -> bool:
        return True


class _Careful(_Plain, CarefulPickler):
    pass


def _is_same_memory(before: _Pickled, after: _Pickled) -> bool:
    return all(itertools.starmap(_same_memory, zip(before.buffers, after.buffers, strict=True)))


def _same_memory(one: pickle.PickleBuffer, other: pickle.PickleBuffer) -> bool:
    try:
        with one.raw() as mine, other.raw() as theirs:
            if mine.nbytes != theirs.nbytes:
                return False
            if not mine.nbytes or _address(mine) == _address(theirs):
                return True
            return mine == theirs
    except BufferError:  # not contiguous
        return memoryview(one).tobytes() == memoryview(other).tobytes()


def _address(view: memoryview) -> int:
    """Return where memory begins that may be read-only."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return id(view)
    return int(numpy.frombuffer(view, numpy.uint8).__array_interface__["data"][0])


def _aliases(buffers: list[pickle.PickleBuffer]) -> list[Any]:
    """Return memory for each buffer that nobody shares, not even where the buffers overlap."""
    if "numpy" not in sys.modules:
        return [_alias(buffer) for buffer in buffers]
    places = []
    for number, buffer in enumerate(buffers):
        with buffer.raw() as view:
            start = _address(view) if view.nbytes else 0
            places.append((start, start + view.nbytes, number))
    twice: set[int] = set()
    reach = -1
    for start, end, number in sorted(places):
        if start < reach:
            twice.add(number)
        reach = max(reach, end)
    return [_alias(buffer, copied=number in twice) for number, buffer in enumerate(buffers)]


_copies: list[Any] = []
"""Keeps the copies: an array that referred to its copy would be pickled as lying in an object with memory."""


def _alias(buffer: pickle.PickleBuffer, *, copied: bool = False) -> Any:
    """Return writable memory with the bytes of a buffer; large ones are not copied."""
    with buffer.raw() as view:
        size = view.nbytes
        memory: Any = ctypes.c_char * size
        if copied or size < _COPIED or "numpy" not in sys.modules:
            _copies.append(own := memory.from_buffer_copy(view))
            return memoryview(memory.from_address(ctypes.addressof(own))).cast("B")
        return memoryview(memory.from_address(_address(view))).cast("B")


def _is_named(value: Any) -> bool:
    return isinstance(value, type | FunctionType)


def _extent(value: Any, depth: int = _DEPTH) -> int:
    """Return how many items a list, dict or set has, with those inside of it; 0 for anything else."""
    if type(value) not in (list, dict, set):
        return 0
    inside = value.values() if type(value) is dict else value
    return len(value) + (
        sum(_extent(one, depth - 1) for one in inside) if depth and len(value) <= _MANY else 0
    )
