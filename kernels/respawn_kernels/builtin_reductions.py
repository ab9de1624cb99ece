"""How some objects of Python itself are taken apart that pickle does not know, or takes for something else.

Functions named `make_…` and `fill_…` are what streams call when they are loaded: old checkpoints need them,
so they stay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from types import CellType, ModuleType
from typing import Any

from respawn_kernels import (
    cache_reductions,
    lock_reductions,
    typing_reductions,
    view_reductions,
    weak_reductions,
)
from respawn_kernels.pickling import NamespacePickler, Reducer


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions."""
    return {
        CellType: _cell,
        ModuleType: _module,
        defaultdict: _defaultdict,
        **cache_reductions.reducers(),
        **lock_reductions.reducers(),
        **typing_reductions.reducers(),
        **view_reductions.reducers(),
        **weak_reductions.reducers(),
    }


def _cell(cell: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a closure's cell to an empty one that is filled: a function may be in its own closure."""
    try:
        content = cell.cell_contents
    except ValueError:
        return make_cell, ()
    return make_cell, (), (content,), None, None, fill_cell


def make_cell() -> Any:
    """Return an empty cell."""
    return CellType()


def fill_cell(cell: Any, state: tuple[Any]) -> None:
    """Put a value into a cell."""
    cell.cell_contents = state[0]


def make_memoryview(owner: Any, kind: str, shape: tuple[int, ...], readonly: bool) -> memoryview:
    """Return a view of all of an object's memory."""
    view = memoryview(owner)
    if (view.format, view.shape) != (kind, shape):
        view = view.cast("B").cast(kind, shape)  # type: ignore[call-overload]
    return view.toreadonly() if readonly else view


def make_cached(function: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a function with an empty cache, for checkpoints that did not hold its content."""
    return cache_reductions.make_cached(function, parameters)


def _module(module: Any, pickler: NamespacePickler) -> Any:
    """Reduce a module that a cell made; others are imported again."""
    if not pickler.is_made(module):
        return NotImplemented
    inside = {name: value for name, value in vars(module).items() if name != "__builtins__"}
    return ModuleType, (vars(module).get("__name__") or "",), inside, None, None, fill_module


def fill_module(module: ModuleType, inside: dict[str, Any]) -> None:
    """Give a module its content."""
    vars(module).update(inside)


def _defaultdict(one: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a dict whose factory may lead to it (`d.default_factory = d.__len__`): it is set afterwards."""
    factory = one.default_factory
    if factory is None or issubclass(type(factory), type):
        return NotImplemented
    return defaultdict, (), (factory,), None, iter(one.items()), fill_defaultdict


def fill_defaultdict(one: Any, state: tuple[Any]) -> None:
    """Give a dict what makes its missing values."""
    one.default_factory = state[0]
