"""Whether two values are equal in content, by the meaning of equality that their types have.

Never raises, and never uses the result of an array's `==` as a truth value. Where a type has no equality of
its own, what it is made of is compared. `None` means that it cannot be decided.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from respawn_kernels.introspection.descriptions import type_name

_DEPTH = 40
_PLAIN = (type(None), bool, int, str, bytes, bytearray, complex, range, slice, type(...))

Answer = bool | None


def same(one: Any, other: Any) -> Answer:
    """Return whether two values are equal in content; None when that cannot be decided."""
    try:
        return _Comparison().same(one, other, 0)
    except Exception:  # noqa: BLE001  anybody's __eq__ and state may raise anything
        return None


class _Comparison:
    def __init__(self) -> None:
        self._met: set[tuple[int, int]] = set()
        self._keep: list[Any] = []

    def same(self, one: Any, other: Any, depth: int) -> Answer:
        if one is other:
            return True
        kind = type(one)
        if type_name(one) != type_name(other):
            return False
        if kind in _PLAIN:
            return bool(one == other)
        if kind is float:
            return one == other or (math.isnan(one) and math.isnan(other))
        if depth > _DEPTH:
            return None
        if (id(one), id(other)) in self._met:
            return True  # a cycle, or met before: whatever differs is found there
        self._met.add((id(one), id(other)))
        self._keep += [one, other]  # ids must not be used again
        return self._by_kind(kind, one, other, depth + 1)

    def _by_kind(self, kind: type, one: Any, other: Any, depth: int) -> Answer:
        if kind in (list, tuple):
            return len(one) == len(other) and self._all(zip(one, other, strict=True), depth)
        if kind is dict:
            return self._dicts(one, other, depth)
        if kind in (set, frozenset):
            return bool(one == other)
        if kind is ModuleType or kind is BuiltinFunctionType:
            return False
        if kind is FunctionType:
            return self._functions(one, other, depth)
        if kind is MethodType:
            return self._all([(one.__func__, other.__func__), (one.__self__, other.__self__)], depth)
        if isinstance(one, type):
            return self._classes(one, other, depth)
        if (rule := _rule_of(one)) is not None:
            return rule(one, other, self, depth)
        own = type.__dict__["__module__"].__get__(kind) != "__main__" and _has_equality(kind)
        if kind is type(other) and own:
            answer = one == other
            if isinstance(answer, bool):
                return answer
        return self._states(one, other, depth)

    def _attempt(self, one: Any, other: Any, depth: int) -> Answer:
        try:
            return self.same(one, other, depth)
        except Exception:  # noqa: BLE001  a part that cannot be compared must not hide another that differs
            return None

    def _all(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> Answer:
        unsure = False
        for one, other in pairs:
            answer = self._attempt(one, other, depth)
            if answer is False:
                return False
            unsure |= answer is None
        return None if unsure else True

    def _dicts(self, one: dict[Any, Any], other: dict[Any, Any], depth: int) -> Answer:
        if one.keys() != other.keys():
            return False
        return self._all(((value, other[key]) for key, value in one.items()), depth)

    def _functions(self, one: FunctionType, other: FunctionType, depth: int) -> Answer:
        cells = [_cells(one), _cells(other)]
        parts = [
            (_code(one.__code__), _code(other.__code__)),
            (one.__defaults__, other.__defaults__),
            (one.__kwdefaults__, other.__kwdefaults__),
            (cells[0], cells[1]),
            (vars(one), vars(other)),
        ]
        return self._all(parts, depth)

    def _classes(self, one: type, other: type, depth: int) -> Answer:
        if one.__module__ != "__main__":
            return False
        mine, others = _members(one), _members(other)
        bases = [cls.__qualname__ for cls in one.__mro__] == [cls.__qualname__ for cls in other.__mro__]
        return bases and self._dicts(mine, others, depth)

    def _states(self, one: Any, other: Any, depth: int) -> Answer:
        """Compare what pickling would take of two objects."""
        mine, others = one.__reduce_ex__(4), other.__reduce_ex__(4)
        if isinstance(mine, str) or isinstance(others, str):
            return bool(mine == others)
        return self.same(tuple(map(_listed, mine[1:])), tuple(map(_listed, others[1:])), depth)


def _has_equality(kind: type) -> bool:
    return any("__eq__" in vars(cls) for cls in kind.__mro__ if cls is not object)


def _listed(part: Any) -> Any:
    return list(part) if hasattr(part, "__next__") else part


def _members(cls: type) -> dict[str, Any]:
    own = {"__dict__", "__weakref__", "__module__", "__qualname__", "__firstlineno__", "__doc__"}
    return {name: _unwrapped(value) for name, value in vars(cls).items() if name not in own}


def _unwrapped(value: Any) -> Any:
    return getattr(value, "__func__", getattr(value, "fget", None) or value)


def _code(code: CodeType) -> tuple[Any, ...]:
    constants = tuple(_code(c) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars


def _cells(function: FunctionType) -> list[Any]:
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            found.append(_cells)
    return found


Rule = Callable[[Any, Any, _Comparison, int], Answer]


def _arrays(one: Any, other: Any, comparison: _Comparison, depth: int) -> Answer:
    import numpy as np

    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.hasobject:
        return comparison.same(one.tolist(), other.tolist(), depth)
    if isinstance(one, np.ma.MaskedArray):
        parts = [(one.filled(), other.filled()), (np.ma.getmaskarray(one), np.ma.getmaskarray(other))]
        return all(np.array_equal(a, b) for a, b in parts)
    try:
        return bool(np.array_equal(one, other, equal_nan=True))
    except TypeError:  # a dtype that knows no NaN
        return bool(np.array_equal(one, other))


def _by_equals(one: Any, other: Any, _comparison: _Comparison, _depth: int) -> Answer:
    return bool(one.equals(other))


def _frames(one: Any, other: Any, comparison: _Comparison, depth: int) -> Answer:
    names = comparison.same(
        [list(getattr(a, "names", [a])) for a in one.axes],
        [list(getattr(a, "names", [a])) for a in other.axes],
        depth,
    )
    same_labels = all(a.equals(b) for a, b in zip(one.axes, other.axes, strict=True))
    return bool(names) and same_labels and bool(one.equals(other)) and one.attrs == other.attrs


def _tensors(one: Any, other: Any, _comparison: _Comparison, _depth: int) -> Answer:
    import torch

    return bool(one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other))


def _sparse(one: Any, other: Any, _comparison: _Comparison, _depth: int) -> Answer:
    return bool(one.shape == other.shape and one.dtype == other.dtype and abs(one - other).nnz == 0)


def _trees(one: Any, other: Any, comparison: _Comparison, depth: int) -> Answer:
    """Compare trees of points by what they are made of: their nodes hold addresses."""
    names = ("data", "indices", "n", "m", "size", "leafsize", "maxes", "mins", "boxsize")
    return comparison.same([getattr(one, n) for n in names], [getattr(other, n) for n in names], depth)


_RULES: list[tuple[str, str, Rule]] = [
    ("numpy", "ndarray", _arrays),
    ("pandas", "DataFrame", _frames),
    ("pandas", "Series", _frames),
    ("pandas", "Index", _by_equals),
    ("polars", "DataFrame", _by_equals),
    ("polars", "Series", _by_equals),
    ("pyarrow", "Table", _by_equals),
    ("pyarrow", "Array", _by_equals),
    ("pyarrow", "ChunkedArray", _by_equals),
    ("torch", "Tensor", _tensors),
    ("scipy.spatial", "cKDTree", _trees),
    ("scipy.sparse", "spmatrix", _sparse),
    ("scipy.sparse", "sparray", _sparse),
]


def _rule_of(value: Any) -> Rule | None:
    for module, name, rule in _RULES:
        cls = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type) and isinstance(value, cls):
            return rule
    return None
