"""Whether two streams of pickles make the same objects, found from their opcodes, without making any.

The bytes of two pickles of the same state may differ: which equal texts are one object is a matter of chance
in Python, and so is what a pickle refers to and what it repeats. What the streams *make* is compared: the
same calls with the same arguments, the same items, and one object where the other has one. The opcodes are
those of `pickletools`.
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass, field
from typing import Any

from respawn_kernels import rebuild
from respawn_kernels.counting import how_many

_MARK = object()
_PLAIN = {
    **{"NONE": None, "NEWTRUE": True, "NEWFALSE": False},
}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_FIXED = {
    *("dtype", "scalar", "date", "time", "datetime", "timedelta", "timezone", "Decimal", "Fraction", "UUID"),
    *("complex", "slice", "range", "PosixPath", "PurePosixPath", "Path", "ZoneInfo", "type_for_alias"),
    *("_unpickle_timestamp", "_timedelta_unpickle", "_compile", "_unpickle_block", "getattr"),
}
_OF_LIBRARIES = {"reducers.arrays", "reducers.pandas_blocks"}
"""Modules whose functions make objects of libraries."""
_MAX_NODES = 2_000_000


class TooLarge(Exception):
    """The streams make more objects than are compared."""


@dataclass
class Node:
    """An object in the making."""

    kind: str
    parts: list[Any] = field(default_factory=list)
    """What it is made of: nodes and plain values."""
    shared: bool = True
    """Whether it can be seen that two are one."""


@dataclass(frozen=True)
class StreamDifference:
    """How what two pickles make differs."""

    text: str
    """In words for people."""
    inside: bool
    """It lies in an object of a library."""


class _Machine:
    """Carries out opcodes on nodes."""

    def __init__(self) -> None:
        self.memo: list[Any] = []
        self._stack: list[Any] = []
        self._nodes = 0
        self._buffers = 0

    def run(self, data: bytes) -> Any:
        """Return what a pickle makes."""
        for opcode, argument, _ in pickletools.genops(data):
            self._do(opcode.name, argument)
        return self._stack.pop()

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _PLAIN:
            stack.append(_PLAIN[name])
        elif name in _VALUES:
            stack.append(argument)
        elif name == "BINFLOAT":
            stack.append(Node("float", [repr(argument)], shared=False))
        elif name == "MEMOIZE":
            self.memo.append(stack[-1])
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"):
            stack.append(self._node(name))
        elif name == "BYTEARRAY8":
            stack.append(self._node(name, [argument]))
        elif name in ("APPENDS", "SETITEMS", "ADDITEMS"):
            items = self._to_mark()
            stack[-1].parts += items
        elif name in ("APPEND", "SETITEM", "BUILD"):
            count = {"APPEND": 1, "SETITEM": 2, "BUILD": 1}[name]
            items = [stack.pop() for _ in range(count)][::-1]
            stack[-1].parts += ["state", *items] if name == "BUILD" else items
        else:
            self._make(name, argument)

    def _make(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in ("TUPLE", "FROZENSET", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            count = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}.get(name)
            items = self._to_mark() if count is None else stack[len(stack) - count :]
            if count:
                del stack[-count:]
            kind = "frozenset" if name == "FROZENSET" else "tuple"
            stack.append(self._node(kind, items, shared=False))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(self._node("global", [module, attribute], shared=False))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            stack.append(self._node(name, [function, arguments], shared=not _is_fixed(function)))
        elif name == "NEWOBJ_EX":
            more, arguments, function = stack.pop(), stack.pop(), stack.pop()
            stack.append(self._node(name, [function, arguments, more]))
        elif name == "BINPERSID":
            stack.append(self._node("reference", [stack.pop()], shared=False))
        elif name == "NEXT_BUFFER":
            stack.append(self._node("buffer", [self._buffers]))
            self._buffers += 1
        elif name == "POP":
            self._pop()
        elif name == "POP_MARK":
            self._to_mark()
        elif name not in ("PROTO", "FRAME", "STOP", "READONLY_BUFFER"):
            raise ValueError(f"opcode {name}")

    def _pop(self) -> None:
        """Drop what a state setter returned: its call is a part of the object that it set."""
        made = self._stack.pop()
        if isinstance(made, Node) and made.kind == "REDUCE" and isinstance(made.parts[1], Node):
            parts = made.parts[1].parts
            if len(parts) == 2 and isinstance(parts[0], Node):
                parts[0].parts += ["set by", made.parts[0], parts[1]]

    def _to_mark(self) -> list[Any]:
        items = []
        while (one := self._stack.pop()) is not _MARK:
            items.append(one)
        return items[::-1]

    def _node(self, kind: str, parts: list[Any] | None = None, *, shared: bool = True) -> Node:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise TooLarge
        return Node(kind, parts if parts is not None else [], shared)


def _is_fixed(function: Any) -> bool:
    """Return whether what a function makes never changes, so that two of them cannot be distinguished."""
    return isinstance(function, Node) and function.kind == "global" and function.parts[1] in _FIXED


def made_by(data: bytes, starts: list[tuple[int, int]]) -> list[Any]:
    """Return what the pickles of a stream make.

    Args:
        data: the stream.
        starts: for each pickle after the preamble the places of its first byte and the one past its last.
    """
    machine = _Machine()
    first = starts[0][0] if starts else len(data)
    machine.run(data[:first])
    return [machine.run(data[start:end]) for start, end in starts]


def memoized(data: bytes) -> int:
    """Return how many objects a stream keeps a place for."""
    file, found = io.BytesIO(data), 0
    while file.tell() < len(data):
        found += sum(opcode.name == "MEMOIZE" for opcode, _, _ in pickletools.genops(file))
    return found


class Likeness:
    """Compares what two streams make, pickle by pickle."""

    def __init__(self) -> None:
        self._forth: dict[int, int] = {}
        self._back: dict[int, int] = {}
        self._met_in: dict[int, Node | None] = {}
        """For each object of either the outermost one of a library in which it was met first."""

    def difference(self, one: Any, other: Any) -> StreamDifference | None:
        """Return how what two pickles make differs; None when it does not."""
        waiting: list[tuple[Any, Any, Node | None]] = [(one, other, None)]
        sets: list[tuple[Node, Node, Node | None]] = []
        while waiting or sets:
            if not waiting:  # now it is known which elements have been met elsewhere
                mine, theirs, inside = sets.pop()
                waiting += [(some, others, inside) for some, others in self._pairs(mine, theirs)]
                continue
            mine, theirs, inside = waiting.pop()
            if not (isinstance(mine, Node) and isinstance(theirs, Node)):
                if (type(mine) is not type(theirs) or mine != theirs) and not _is_record_of_sharing(mine):
                    return StreamDifference(f"{_short(mine)} became {_short(theirs)}", inside is not None)
                continue
            known, known_back = self._forth.get(id(mine)), self._back.get(id(theirs))
            met = mine.shared and (known is not None or known_back is not None)
            if met and (known, known_back) != (id(theirs), id(mine)):
                text = f"{_short(mine)} is another object where it was one, or one where it was two"
                return StreamDifference(text, self._is_inside(inside, mine, theirs))
            if known == id(theirs):
                continue
            self._forth[id(mine)], self._back[id(theirs)] = id(theirs), id(mine)
            self._met_in[id(mine)] = self._met_in[id(theirs)] = inside
            inside = inside or (mine if _is_librarys(mine) else None)
            if mine.kind != theirs.kind:
                return StreamDifference(f"{_short(mine)} became {_short(theirs)}", inside is not None)
            if len(mine.parts) != len(theirs.parts):
                text = (
                    f"{_short(mine)} has {how_many(len(theirs.parts), 'part')} instead of {len(mine.parts)}"
                )
                return StreamDifference(text, inside is not None)
            if mine.kind in ("EMPTY_SET", "frozenset") and any(isinstance(p, Node) for p in mine.parts):
                sets.append((mine, theirs, inside))
            else:
                parts = zip(mine.parts, theirs.parts, strict=True)
                waiting += [(some, others, inside) for some, others in parts]
        return None

    def _is_inside(self, inside: Node | None, mine: Node, theirs: Node) -> bool:
        """Return whether only an object of a library can see that its parts are shared in another way.

        What it shares with an object outside of it, everybody can see.
        """
        if inside is None:
            return _is_librarys(mine)
        return all(self._met_in.get(id(one), inside) is inside for one in (mine, theirs))

    def _pairs(self, mine: Node, theirs: Node) -> list[tuple[Any, Any]]:
        """Return which element of a set corresponds to which: their order may come from addresses."""
        left = {id(part): part for part in theirs.parts}
        found, rest = [], []
        for part in mine.parts:
            known = left.pop(self._forth.get(id(part), 0), None)
            if known is None:
                rest.append(part)
            else:
                found.append((part, known))
        outlines = [sorted(parts, key=lambda part: _outline(part, 4)) for parts in (rest, left.values())]
        return found + list(zip(*outlines, strict=False))


def _is_librarys(node: Node) -> bool:
    """Return whether an object is made by a library, which may store the same object in several ways."""
    if node.kind not in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
        return False
    function = node.parts[0]
    if not isinstance(function, Node) or function.kind != "global":
        return False
    module, name = map(str, function.parts)
    if module == rebuild.__name__ and rebuild.MODULES.get(name) in _OF_LIBRARIES:
        return True
    return module.partition(".")[0] not in ("builtins", "respawn_kernels", "copyreg", "cloudpickle")


def _is_record_of_sharing(node: Any) -> bool:
    """Return whether an object is pandas' note that somebody else may have the same memory."""
    function = node.parts[0] if isinstance(node, Node) and node.kind == "REDUCE" else None
    return (
        isinstance(function, Node)
        and function.kind == "global"
        and function.parts[1] == "make_block_references"
    )


def _outline(part: Any, depth: int) -> str:
    if not isinstance(part, Node):
        return repr(part)
    inside = ",".join(_outline(one, depth - 1) for one in part.parts) if depth else ""
    return f"{part.kind}({inside})"


def _short(value: Any) -> str:
    if not isinstance(value, Node):
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:39]}…"
    if value.kind in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
        function = value.parts[0]
        if isinstance(function, Node) and function.kind == "global":
            return f"what {function.parts[1]} makes"
        return "an object"
    if value.kind == "global":
        return str(value.parts[1])
    if value.kind == "float":
        return str(value.parts[0])
    names = {"EMPTY_LIST": "a list", "EMPTY_DICT": "a dict", "EMPTY_SET": "a set", "tuple": "a tuple"}
    return names.get(value.kind, f"a {value.kind}")
