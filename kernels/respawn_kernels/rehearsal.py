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

from respawn_kernels import deep, equality, likeness
from respawn_kernels.class_reductions import is_notebooks
from respawn_kernels.instance_reductions import way_of
from respawn_kernels.pickling import (
    PREAMBLE,
    CarefulPickler,
    NamespacePickler,
    NamespaceUnpickler,
    reason,
    resolving,
)
from respawn_kernels.reductions import reducers

_DEPTH, _MANY = 3, 100
"""So far into an attribute it is counted what it holds, where it has no more than so many items."""
_COPIED = 1 << 20
"""Smaller buffers are copied, so that a constructor that writes to one does not change the original."""


@dataclass(frozen=True)
class Written:
    """A group that was just written."""

    names: list[str]
    data: Callable[[], bytes]
    """Returns the stream."""
    buffers: list[pickle.PickleBuffer]
    careful: bool
    """References were written for text whose identity can be seen."""


class CannotTell(Exception):
    """A control signal: nobody can tell whether a variable comes back as it was."""


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
    """Groups of one capture, loaded into a namespace that is nobody's. For a process that ends afterwards."""

    def __init__(
        self,
        groups: list[Written],
        values: Mapping[str, Any],
        namespace: dict[str, Any],
        named: Mapping[int, str],
        known: Mapping[int, str],
        asked: set[str],
        about: Callable[[str], None],
    ) -> None:
        """Begin; `__main__` is an empty module from now on.

        Args:
            groups: what was written.
            values: every variable, as it is.
            namespace: the live namespace.
            named: functions and classes of the notebook that are variables, by their `id`.
            known: references to text by its id, see `CarefulPickler`.
            asked: names of classes that said themselves how their instances are stored.
            about: told each variable before it is loaded.
        """
        self._groups = groups
        self._values = values
        self._live = namespace
        self._named = dict(named)
        self._known = known
        self._asked = asked
        self._about = about
        self._kinds: dict[type, bool] = {}
        self._place = {name: place for place, group in enumerate(groups) for name in group.names}
        self._loaded: dict[int, dict[str, Any]] = {}
        main = ModuleType("__main__")
        self._main = sys.modules["__main__"] = main
        vars(main)["__builtins__"] = builtins

    def check(self, place: int) -> None:
        """Load a group and compare it with the original.

        Raises:
            ComesBackOtherwise: a variable of it does not load, or comes back different.
        """
        group = self._groups[place]
        loaded = self._load(place)
        main = vars(self._main)
        main.update(loaded)  # functions of modules that a cell made are found there
        try:
            self._compare_with(group, loaded)
        finally:
            for name in loaded:
                main.pop(name, None)
        if not any(_is_named(value) for value in loaded.values()):
            self._loaded.pop(place, None)

    def _compare_with(self, group: Written, loaded: Mapping[str, Any]) -> None:
        before = self._pickled(group, self._values, self._live)
        after = self._pickled(group, loaded, vars(self._main))
        alike = len(before.buffers) != len(after.buffers) or _is_same_memory(before, after)
        # Libraries write memory out that nobody has set, such as the gaps between fields.
        if not alike and not all(equality.same(self._values[name], loaded[name]) for name in group.names):
            raise CannotTell("its memory is not the same bytes")
        self._compare(group, loaded, before, after)
        self._compare_attributes(group, before, after)

    def _compare(self, group: Written, loaded: Mapping[str, Any], before: _Pickled, after: _Pickled) -> None:
        if before.data == after.data:
            return
        try:
            made = [likeness.made_by(one.data, one.places) for one in (before, after)]
        except likeness.TooLarge:
            return
        same = likeness.Likeness()
        for name, mine, theirs in zip(group.names, *made, strict=True):
            found = same.difference(mine, theirs)
            if found is None:
                continue
            if not found.inside:
                raise ComesBackOtherwise(name, f"it comes back different: {found.told}")
            # How a library stores an object may be another way afterwards, with the same object.
            if not equality.same(self._values[name], loaded[name]):
                raise CannotTell(found.told)

    def populate(self) -> None:
        """Put the variables into `__main__`: a restore tries once more when the others are there."""
        vars(self._main).update({n: v for n, v in self._values.items() if not n.startswith("#")})

    def _load(self, place: int) -> dict[str, Any]:
        if place in self._loaded:
            return self._loaded[place]
        group = self._groups[place]
        self._loaded[place] = {}
        buffers = [_alias(buffer) for buffer in group.buffers]
        unpickler = NamespaceUnpickler(io.BytesIO(group.data()), vars(self._main), buffers)
        found: dict[str, Any] = {}
        try:
            with resolving(self._resolve):
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
        mine = {id(values[name]) for name in group.names}
        if isinstance(pickler, CarefulPickler):
            pickler.know({key: told for key, told in self._known.items() if key not in mine})
        file.write(PREAMBLE)
        pickler.start(mine & self._named.keys())
        for name in group.names:
            start = file.tell()
            if deeply:
                deep.dump(pickler, values[name], file, keep)
            else:
                pickler.dump(values[name])
            found.places.append((start, file.tell()))
        found.data, found.memo = file.getvalue(), pickler.memo.copy()
        return found

    def _compare_attributes(self, group: Written, before: _Pickled, after: _Pickled) -> None:
        """Compare the attributes of instances of the notebook that their class, or a library's, stored."""
        theirs = dict(after.memo.values())
        for place, value in before.memo.values():
            other = theirs.get(place)
            if not self._says_itself(type(value)) or type(other).__qualname__ != type(value).__qualname__:
                continue
            mine, others = getattr(value, "__dict__", {}), getattr(other, "__dict__", {})
            lost = [n for n in mine if n not in others or _extent(others[n]) < _extent(mine[n])]
            if lost:
                told = ", ".join(sorted(map(str, lost)))
                raise ComesBackOtherwise(group.names[0], f"it comes back without {told}")

    def _says_itself(self, kind: type) -> bool:
        """Tell whether a class of the notebook, or its base in a library, says how instances are stored."""
        if kind not in self._kinds:
            mine = is_notebooks(kind) and not issubclass(kind, type) and hasattr(kind, "__dict__")
            asks = mine and (f"{kind.__module__}.{kind.__qualname__}" in self._asked or way_of(kind) is None)
            self._kinds[kind] = asks and not issubclass(kind, BaseException | enum.Enum)
        return self._kinds[kind]


class _Plain(NamespacePickler):
    """Takes each `__dict__` for one that others refer to: what it is told of then, in both streams."""

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


def _alias(buffer: pickle.PickleBuffer) -> Any:
    """Return writable memory with the bytes of a buffer; large ones are not copied."""
    with buffer.raw() as view:
        size = view.nbytes
        memory: Any = ctypes.c_char * size
        if size < _COPIED or "numpy" not in sys.modules:
            return memoryview(memory.from_buffer_copy(view)).cast("B")
        return memoryview(memory.from_address(_address(view))).cast("B")


def _is_named(value: Any) -> bool:
    return isinstance(value, type | FunctionType)


def _extent(value: Any, depth: int = _DEPTH) -> int:
    """Return how many items a list, dict or set has, with those inside of it; of what is replaced 0."""
    if type(value) not in (list, dict, set):
        return 0
    inside = value.values() if type(value) is dict else value
    return len(value) + (
        sum(_extent(one, depth - 1) for one in inside) if depth and len(value) <= _MANY else 0
    )
