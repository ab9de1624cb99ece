"""Abstract values: what an expression may give, and which objects it may share with others.

Every object that can be changed lies in a *region*, together with all that it may lead to. Regions only ever
grow together, so whoever changes an object changes its region, and everybody who holds the region may see it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

WORLD = 0
"""The region of everything that code which cannot be seen may keep and change: the state of libraries."""


class Kind(StrEnum):
    """What is known of a value; what is not known for sure is `ANY`."""

    PLAIN = "plain"
    """Immutable through and through: numbers, text, None, tuples of them."""
    BOX = "box"
    """A list, dict, set or tuple of Python's own."""
    DATA = "data"
    """An array or table of NumPy or pandas."""
    LIBRARY = "library"
    """A module, or something that lies in one; `what` is its dotted name."""
    FUNCTION = "function"
    """Exactly one function of the notebook; `what` is it."""
    CLASS = "class"
    """Exactly one class of the notebook."""
    INSTANCE = "instance"
    """An instance of exactly that class."""
    STREAM = "stream"
    """A file that `open` opened."""
    DRAWING = "drawing"
    """A figure of matplotlib, or a part of one."""
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Constant:
    """A plain value that stands in the source: a text, a number, True, False or None."""

    type: type
    value: Any


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of the objects in a region, besides what they may be."""

    kind: str
    """`path`: something of a library lies there; `tag`: a module that made some of it; `state`: a part of the
    session's state that changes with it; `draws`: it may draw random numbers."""
    name: str = ""


DRAWS = Note("draws")
MIXED = Note("mixed")
"""More lies there than tables, boxes, and functions as they are defined: what is called may be given any of
it."""


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression may give."""

    kind: Kind
    regions: frozenset[int] = frozenset()
    what: Any = None


PLAIN = Value(Kind.PLAIN)
NONE = Value(Kind.PLAIN, what=Constant(type(None), None))
UNKNOWN = Value(Kind.ANY, frozenset({WORLD}))

_SIMPLE = (Kind.PLAIN, Kind.BOX, Kind.DATA, Kind.FUNCTION)
_RANK = {Kind.PLAIN: 0, Kind.BOX: 1}


class Regions:
    """Which objects may lead to which, as sets that are merged and never split."""

    def __init__(self) -> None:
        self._parent = [WORLD]
        self._holds = [Kind.ANY]
        self._functions: list[set[Any]] = [set()]
        self._notes: list[set[Note]] = [{DRAWS}]
        self._at: dict[Hashable, int] = {}
        self.version = 0
        """Grows with everything that is learnt."""

    def fresh(self, site: Hashable) -> int:
        """Return the region of what is made at one place of the code, in one way of calling it."""
        if site not in self._at:
            self._at[site] = len(self._parent)
            self._parent.append(len(self._parent))
            self._holds.append(Kind.PLAIN)
            self._functions.append(set())
            self._notes.append(set())
        return self._at[site]

    def find(self, region: int) -> int:
        """Return the region that a region belongs to by now."""
        while self._parent[region] != region:
            self._parent[region] = region = self._parent[self._parent[region]]
        return region

    def roots(self, regions: Iterable[int]) -> frozenset[int]:
        """Return the regions that these belong to by now."""
        return frozenset(self.find(region) for region in regions)

    def merge(self, regions: Iterable[int]) -> int | None:
        """Make one region of several; None for none."""
        first, *rest = sorted(self.roots(regions)) or (None,)
        if first is None:
            return None
        for other in rest:
            self._parent[other] = first
            self.version += 1
            self._notes[first] |= self._notes[other]
            self._functions[first] |= self._functions[other]
            self._holds[first] = _widest(self._holds[first], self._holds[other])
        return first

    def put(self, into: Value, item: Value) -> None:
        """Let the objects of a value lead to another's; nothing changes hands for plain ones."""
        if item.kind is Kind.PLAIN:
            return
        region = self.merge(into.regions | item.regions)
        if region is not None and item.kind not in _SIMPLE:
            self.note([region], MIXED)
        widest = _widest(self._holds[region], _held(item.kind)) if region is not None else None
        if region is not None and widest is not None and widest is not self._holds[region]:
            self._holds[region] = widest
            self.version += 1

    def holds(self, value: Value) -> Kind:
        """Return what the parts of a value are at most: PLAIN, BOX or ANY."""
        kinds = [self._holds[self.find(region)] for region in value.regions]
        return max(kinds, key=lambda kind: _RANK.get(kind, 2), default=Kind.PLAIN)

    def notes(self, regions: Iterable[int], kind: str) -> set[str]:
        """Return the names of all notes of one kind about regions."""
        return {
            note.name for region in self.roots(regions) for note in self._notes[region] if note.kind == kind
        }

    def note(self, regions: Iterable[int], *notes: Note) -> None:
        """Note something about regions."""
        for region in self.roots(regions):
            if not self._notes[region].issuperset(notes):
                self._notes[region].update(notes)
                self.version += 1

    def functions(self, regions: Iterable[int]) -> set[Any]:
        """Return the notebook's functions that may be reached from regions."""
        return set().union(*(self._functions[region] for region in self.roots(regions)))

    def attach(self, regions: Iterable[int], functions: Iterable[Any]) -> None:
        """Say that functions may be reached from regions."""
        new = set(functions)
        for region in self.roots(regions):
            if not new <= self._functions[region]:
                self._functions[region] |= new
                self.version += 1


def join(one: Value, other: Value) -> Value:
    """Return what may be either of two values."""
    if one == other:
        return one
    regions = one.regions | other.regions
    kinds = {one.kind, other.kind}
    if kinds == {Kind.PLAIN}:
        return PLAIN
    if one.kind is other.kind and one.what == other.what:
        return Value(one.kind, regions, one.what)
    if kinds == {Kind.PLAIN, Kind.BOX}:
        return Value(Kind.BOX, regions)
    if kinds <= {Kind.PLAIN, Kind.BOX, Kind.DATA}:
        return Value(Kind.DATA, regions) if Kind.BOX not in kinds else Value(Kind.ANY, regions)
    if Kind.LIBRARY in kinds:
        regions |= {WORLD}
    # An instance leads to its class, and `what` no longer says so.
    owners = {getattr(value.what, "region", None) for value in (one, other)}
    return Value(Kind.ANY, regions | frozenset(region for region in owners if region is not None))


def _held(kind: Kind) -> Kind:
    return kind if kind in _RANK else Kind.ANY


def _widest(one: Kind, other: Kind) -> Kind:
    return max(one, other, key=lambda kind: _RANK.get(kind, 2))


def constant(value: object) -> Value:
    """Return the plain value that stands for a literal."""
    if value is None or isinstance(value, str | bool | int | float):
        return Value(Kind.PLAIN, what=Constant(type(value), value))
    return PLAIN


def text_of(value: Value) -> str | None:
    """Return the text that a value is for sure; None when it is not known."""
    known = isinstance(value.what, Constant) and isinstance(value.what.value, str)
    return value.what.value if known else None


def may_be_text(value: Value) -> bool:
    """Return whether a value may be a text."""
    if value.kind is not Kind.PLAIN:
        return False
    return not isinstance(value.what, Constant) or value.what.type is str
