"""Small random programs, run in-process: what a notebook leaves behind, and what a plan leaves behind.

A checkpoint is a deep copy of the whole namespace, which keeps what is shared: functions and classes are
copied with their defaults, closures and attributes, and see the copied namespace as their globals.
"""

from __future__ import annotations

import copy
import signal
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Namespace = dict[str, Any]


class _Copier:
    """Copies a namespace with the functions and classes that its cells defined."""

    def __init__(self, namespace: Namespace) -> None:
        self.old, self.new = namespace, {}
        self.memo: dict[int, Any] = {id(namespace): self.new}
        self.open: list[tuple[type, type]] = []
        """Classes that are still without their attributes: these may hold instances, which need the class."""

    def copied(self) -> Namespace:
        dispatch = copy._deepcopy_dispatch
        before = {kind: dispatch.get(kind) for kind in (types.FunctionType, types.ModuleType, type)}
        dispatch[types.ModuleType] = lambda value, memo: value
        dispatch[types.FunctionType] = lambda value, memo: self._function(value)
        dispatch[type] = lambda value, memo: self._class(value)
        try:
            for name, value in self.old.items():
                self.new[name] = value if name == "__builtins__" else copy.deepcopy(value, self.memo)
            while self.open:
                self._fill(*self.open.pop())
        finally:
            for kind, function in before.items():
                if function is None:
                    del dispatch[kind]
                else:
                    dispatch[kind] = function
        return self.new

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        if function.__globals__ is not self.old:
            return function
        if id(function) in self.memo:
            return self.memo[id(function)]
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        made = types.FunctionType(function.__code__, self.new, function.__name__, None, cells)
        self.memo[id(function)] = made
        made.__defaults__ = copy.deepcopy(function.__defaults__, self.memo)
        made.__kwdefaults__ = copy.deepcopy(function.__kwdefaults__, self.memo)
        made.__dict__.update(copy.deepcopy(function.__dict__, self.memo))
        for new, old in zip(cells, function.__closure__ or (), strict=True):
            self.memo[id(old)] = new
            new.cell_contents = copy.deepcopy(old.cell_contents, self.memo)
        return made

    def _class(self, kind: type) -> type:
        if kind.__module__ != "cells":
            return kind
        if id(kind) in self.memo:
            return self.memo[id(kind)]
        made = self.memo[id(kind)] = type(kind.__name__, kind.__bases__, {"__module__": "cells"})
        self.open.append((kind, made))
        return made

    def _fill(self, kind: type, made: type) -> None:
        for name, value in list(vars(kind).items()):
            if name not in ("__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__"):
                setattr(made, name, copy.deepcopy(value, self.memo))


def checkpoint(namespace: Namespace) -> Namespace:
    """Return a copy of a namespace, as a restored kernel has it."""
    return _Copier(namespace).copied()


def empty() -> Namespace:
    """Return the namespace of a kernel that has just started."""
    return {"__builtins__": __builtins__, "__name__": "cells"}


def execute(namespace: Namespace, sources: Sequence[str]) -> tuple[int, str] | None:
    """Execute cells in order; return where they stopped and with what exception, if they did."""
    for place, source in enumerate(sources):
        try:
            with _bounded():
                exec(compile(source, f"<cell {place}>", "exec"), namespace)
        except Exception as error:
            return place, type(error).__name__
    return None


@contextmanager
def _bounded() -> Iterator[None]:
    """End a cell that goes through a list which grows meanwhile, as long as it runs Python for it."""

    def stop(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, signal.SIG_IGN)  # one that is still on its way ends nothing


def shape(namespace: Namespace) -> dict[str, Any]:
    """Return what a namespace holds, with what is shared numbered in the order in which it is met."""
    seen: dict[int, int] = {}
    kept: list[Any] = []

    def of(value: Any) -> Any:
        if value is None or isinstance(
            value, int | float | str | types.ModuleType | types.BuiltinFunctionType
        ):
            return repr(value)
        if id(value) in seen:
            return ("again", seen[id(value)])
        seen[id(value)] = len(seen)
        kept.append(value)  # or its id may be another's
        number = seen[id(value)]
        if isinstance(value, dict):
            return number, "dict", [(of(key), of(item)) for key, item in value.items()]
        if isinstance(value, set | frozenset):
            return number, "set", sorted(map(repr, value))
        if isinstance(value, list | tuple):
            return number, type(value).__name__, [of(item) for item in value]
        if isinstance(value, types.FunctionType):
            cells = [of(cell.cell_contents) for cell in value.__closure__ or ()]
            parts = (value.__defaults__, value.__kwdefaults__, value.__dict__)
            return (
                number,
                "function",
                value.__code__.co_code,
                value.__code__.co_consts[:1],
                of(list(parts)),
                cells,
            )
        if isinstance(value, type):
            own = {name: item for name, item in vars(value).items() if not name.startswith("__")}
            return (number, "class", value.__name__, [(name, of(item)) for name, item in sorted(own.items())])
        if isinstance(value, types.MethodType):
            return number, "method", of(value.__self__), of(value.__func__)
        if hasattr(value, "__dict__"):
            return number, "object", of(type(value)), of(vars(value))
        made, *rest = value.__reduce__()[1:]
        if type(value).__name__ == "list_iterator" and not made[0]:
            return number, "an iterator that is used up"  # a copy of it is one at the start of an empty list
        return number, type(value).__name__, of(made), [of(part) for part in rest]

    return {name: of(namespace[name]) for name in sorted(namespace) if not name.startswith("__")}
