"""How some objects of Python itself are taken apart that pickle does not know, or takes for something else.

Functions named `make_…` and `fill_…` are what streams call when they are loaded: old checkpoints need them,
so they stay.
"""

from __future__ import annotations

import functools
import pickle
import sys
from collections.abc import Mapping
from types import CellType
from typing import Any

from respawn_kernels.pickling import NamespacePickler, Reducer

_CACHED = type(functools.lru_cache(len))


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions."""
    return {CellType: _cell, memoryview: _memoryview, _CACHED: _cached}


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


def _memoryview(view: memoryview, _pickler: NamespacePickler) -> Any:
    whole = memoryview(view.obj)
    if not (view.c_contiguous and whole.c_contiguous and view.nbytes == whole.nbytes):
        raise pickle.PicklingError("a memoryview of a part of its object")
    return make_memoryview, (view.obj, view.format, view.shape, view.readonly)


def make_memoryview(owner: Any, kind: str, shape: tuple[int, ...], readonly: bool) -> memoryview:
    """Return a view of all of an object's memory."""
    view = memoryview(owner)
    if (view.format, view.shape) != (kind, shape):
        view = view.cast("B").cast(kind, shape)  # type: ignore[call-overload]
    return view.toreadonly() if readonly else view


def _cached(function: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a function with `functools.lru_cache` that the notebook defined; its cache starts empty."""
    module = sys.modules.get(function.__module__)
    if function.__module__ != "__main__" and getattr(module, function.__name__, None) is function:
        return NotImplemented
    return make_cached, (function.__wrapped__, function.cache_parameters())


def make_cached(function: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a function with a cache."""
    return functools.lru_cache(**parameters)(function)
