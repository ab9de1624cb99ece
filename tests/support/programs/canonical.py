"""What a namespace is, written so that two processes can compare it: values, who is the same object, shared
memory.

Objects that can change are numbered in the order in which a walk from the names meets them; a number that
comes again is the same object. Arrays that lie in each other's memory show where. The text holds no
object.
"""

from __future__ import annotations

import collections
import io
import itertools
import types
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

PLAIN = (type(None), bool, int, float, complex, str, bytes, range, np.generic, pd.Timestamp)
UNSTORABLE = (types.GeneratorType, io.TextIOWrapper)
_NOT_OF_A_CLASS = {
    "__dict__",
    "__weakref__",
    "__module__",
    "__qualname__",
    "__doc__",
    "__annotations__",
    "__slotnames__",
}
_ITERATORS = (type(iter([])), itertools.count)


def storable(values: dict[str, Any]) -> list[str]:
    """Return the names from which nothing can be reached that no checkpoint can hold."""
    names = []
    for name, value in values.items():
        walk = _Walk()
        walk.tell(value)
        if not walk.unstorable:
            names.append(name)
    return names


def tell(values: dict[str, Any], names: Iterable[str]) -> list[str]:
    """Return what the names are, a line for each name and each object met, and the memory they share."""
    walk = _Walk()
    lines = [f"{name} = {walk.tell(values[name])}" for name in sorted(names)]
    return [*lines, *walk.lines, *walk.memory()]


def _is_of_module(function: types.BuiltinFunctionType) -> bool:
    """Return whether a function of C belongs to a module, and is no method of an object."""
    return isinstance(getattr(function, "__self__", None), types.ModuleType | type | None)


class _Walk:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.unstorable = False
        self._numbers: dict[int, int] = {}
        self._arrays: list[tuple[int, int, int, bool, str]] = []
        self._keep: list[Any] = []

    def tell(self, value: Any) -> str:
        if isinstance(value, PLAIN):
            return f"{type(value).__name__}:{value!r}"
        if isinstance(value, types.BuiltinFunctionType) and not _is_of_module(value):
            return f"method {value.__name__} of {self.tell(value.__self__)}"
        if isinstance(value, types.ModuleType | types.BuiltinFunctionType | np.ufunc):
            return f"named:{value.__name__}"
        if isinstance(value, type) and value.__module__ != "__main__":
            return f"type:{value.__module__}.{value.__qualname__}"
        if isinstance(value, tuple | frozenset):
            return f"{type(value).__name__}({', '.join(self._ordered(value))})"
        if isinstance(value, types.MethodType):
            return f"method {value.__func__.__name__} of {self.tell(value.__self__)}"
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._numbers)
            self._keep.append(value)
            place = len(self.lines)
            self.lines.append("")
            self.lines[place] = f"#{number} {type(value).__name__} {self._inside(value, number)}"
        return f"#{number}"

    def memory(self) -> list[str]:
        """Tell which arrays overlap, and at which distance."""
        lines, region, start, end = [], 0, 0, -1
        regions: dict[int, list[tuple[int, int, bool, str]]] = {}
        for low, high, number, plain, strides in sorted(self._arrays):
            if low >= end:
                region, start, end = region + 1, low, high
            end = max(end, high)
            regions.setdefault(region, []).append((number, low - start, plain, strides))
        for members in regions.values():
            # Tables copy when they are written to: that two of them share memory cannot be seen.
            if len(members) > 1 and any(plain for _, _, plain, _ in members):
                lines.append(", ".join(f"#{n} at {at} by {strides}" for n, at, _, strides in sorted(members)))
        return [f"memory: {line}" for line in sorted(lines)]

    def _ordered(self, values: Iterable[Any]) -> list[str]:
        lines = [self.tell(value) for value in values]
        return sorted(lines) if isinstance(values, set | frozenset) else lines

    def _inside(self, value: Any, number: int) -> str:
        match value:
            case _ if isinstance(value, UNSTORABLE):
                self.unstorable = True
                return "unstorable"
            case list() | set() | collections.deque():
                return f"[{', '.join(self._ordered(value))}]{self._attributes(value)}"
            case dict():
                pairs = ", ".join(f"{self.tell(k)}: {self.tell(v)}" for k, v in value.items())
                return f"{{{pairs}}}{self._attributes(value)}"
            case bytearray():
                at = np.frombuffer(value, "u1") if value else np.empty(0, "u1")
                self._note(at, number)
                return repr(bytes(value))
            case np.ndarray():
                return self._array(value, number)
            case pd.DataFrame():
                columns = [f"{c!r}: {self._column(value[c], number)}" for c in value.columns]
                return f"{'; '.join(columns)} by {list(value.index)!r}{self._attrs(value)}"
            case pd.Series():
                column = self._column(value, number)
                return f"{value.name!r}: {column} by {list(value.index)!r}{self._attrs(value)}"
            case types.CellType():
                return self._cell(value)
            case types.FunctionType():
                return self._function(value)
            case type():
                return self._class(value)
            case _ if sparse.issparse(value):
                parts = [self.tell(getattr(value, part)) for part in ("data", "indices", "indptr")]
                return f"{value.shape} {' '.join(parts)}"
            case _ if isinstance(value, _ITERATORS):
                return ", ".join(self.tell(part) for part in value.__reduce__()[1:])
            case _:
                kind = self.tell(type(value))
                return f"of {kind}{self._attributes(value)}{self._slots(value)}"

    def _array(self, value: np.ndarray, number: int) -> str:
        self._note(value, number)
        items = (
            [self.tell(item) for item in value.ravel().tolist()] if value.dtype.hasobject else value.tolist()
        )
        return f"{value.dtype} {value.shape} {items} {'' if value.flags.writeable else 'read-only'}"

    def _note(self, array: np.ndarray, number: int, *, plain: bool = True) -> None:
        if not array.size or array.dtype.hasobject:
            return
        low, high = np.lib.array_utils.byte_bounds(array)
        strides = [step for step, size in zip(array.strides, array.shape, strict=True) if size > 1]
        self._arrays.append(
            (low, high, number, plain and array.flags.writeable, str(strides) if plain else "")
        )

    def _column(self, column: pd.Series, number: int) -> str:
        if isinstance(column.dtype, np.dtype):
            self._note(column.to_numpy(), number, plain=False)
        return f"{column.dtype} [{', '.join(self.tell(v) for v in column.tolist())}]"

    def _attrs(self, value: Any) -> str:
        return f" attrs {self.tell(value._attrs)}" if value._attrs else ""

    def _cell(self, value: types.CellType) -> str:
        try:
            return self.tell(value.cell_contents)
        except ValueError:
            return "empty"

    def _function(self, value: types.FunctionType) -> str:
        return ", ".join(
            [
                _code(value.__code__),
                f"defaults {[self.tell(one) for one in value.__defaults__ or ()]}",
                f"more {[(k, self.tell(v)) for k, v in sorted((value.__kwdefaults__ or {}).items())]}",
                f"closure {[self.tell(cell) for cell in value.__closure__ or ()]}",
                f"live {'__main__' in str(value.__globals__.get('__name__'))}{self._attributes(value)}",
            ]
        )

    def _class(self, value: type) -> str:
        inside = {k: v for k, v in vars(value).items() if k not in _NOT_OF_A_CLASS and not _is_slot(v)}
        bases = [self.tell(base) for base in value.__bases__]
        return f"{value.__qualname__} {bases} {[(k, self.tell(inside[k])) for k in sorted(inside)]}"

    def _attributes(self, value: Any) -> str:
        inside = getattr(value, "__dict__", None)
        return f" with {[(k, self.tell(v)) for k, v in inside.items()]}" if inside else ""

    def _slots(self, value: Any) -> str:
        names = [n for kind in type(value).__mro__ for n in kind.__dict__.get("__slots__", ())]
        return "".join(f" .{n}={self.tell(getattr(value, n))}" for n in names if hasattr(value, n))


def _is_slot(value: Any) -> bool:
    return isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType)


def _code(code: types.CodeType) -> str:
    consts = [_code(one) if isinstance(one, types.CodeType) else repr(one) for one in code.co_consts]
    return f"{code.co_name} {code.co_code.hex()} {code.co_names} {code.co_freevars} {consts}"
