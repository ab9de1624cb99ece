"""How some objects of Python itself are taken apart that pickle does not know, or takes for something else.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import pickle
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import CellType, ModuleType
from typing import Any

from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name
from respawn_kernels.reducers import (
    cached_functions,
    locks,
    parsed_documents,
    thread_locals,
    typing_objects,
    views,
    weak_references,
)
from respawn_kernels.session_state.patching.baseline import baseline


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions."""
    return {
        CellType: _cell,
        ModuleType: _module,
        defaultdict: _defaultdict,
        **_zones(),
        **cached_functions.reducers(),
        **locks.reducers(),
        **parsed_documents.reducers(),
        **thread_locals.reducers(),
        **typing_objects.reducers(),
        **views.reducers(),
        **weak_references.reducers(),
    }


def _zones() -> dict[type, Reducer]:
    zone = getattr(sys.modules.get("zoneinfo"), "ZoneInfo", None)
    return {} if zone is None else {zone: _zone}


def _zone(zone: Any, _pickler: NamespacePickler) -> Any:
    """Refuse a time zone that its class no longer gives to who asks for its name: two would become one."""
    made, arguments = zone.__reduce__()
    if arguments[1] and type(zone)(arguments[0]) is not zone:
        raise pickle.PicklingError("a time zone from before the cache of zones was cleared")
    return made, arguments


def _cell(cell: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a closure's cell to an empty one that is filled: a function may be in its own closure."""
    try:
        content = cell.cell_contents
    except ValueError:
        return make_cell, ()
    return make_cell, (), (content,), None, None, fill_cell


@stable_name
def make_cell() -> Any:
    """Return an empty cell."""
    return CellType()


@stable_name
def fill_cell(cell: Any, state: tuple[Any]) -> None:
    """Put a value into a cell."""
    cell.cell_contents = state[0]


@stable_name
def make_memoryview(owner: Any, kind: str, shape: tuple[int, ...], readonly: bool) -> memoryview:
    """Return a view of all of an object's memory.

    Args:
        owner: an object with the buffer protocol.
        kind: format of an element, as in `struct`.
        shape: elements along each axis.
        readonly: whether the view refuses to be written to, though its owner may not.
    """
    view = memoryview(owner)
    if (view.format, view.shape) != (kind, shape):
        view = view.cast("B").cast(kind, shape)  # type: ignore[call-overload]
    return view.toreadonly() if readonly else view


def _module(module: Any, pickler: NamespacePickler) -> Any:
    """Reduce a module that a cell made; others are imported again."""
    if not pickler.is_made(module):
        file = vars(module).get("__file__")
        if baseline.is_local(module.__name__) and isinstance(file, str) and not Path(file).exists():
            raise pickle.PicklingError(f"the file of the module {module.__name__} is gone")
        return NotImplemented
    inside = {name: value for name, value in vars(module).items() if name != "__builtins__"}
    return ModuleType, (vars(module).get("__name__") or "",), inside, None, None, fill_module


@stable_name
def fill_module(module: ModuleType, inside: dict[str, Any]) -> None:
    """Set what a module contains."""
    vars(module).update(inside)


def _defaultdict(one: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a dict whose factory may lead to it (`d.default_factory = d.__len__`): it is set afterwards."""
    factory = one.default_factory
    if factory is None or issubclass(type(factory), type):
        return NotImplemented
    return defaultdict, (), (factory,), None, iter(one.items()), fill_defaultdict


@stable_name
def fill_defaultdict(one: Any, state: tuple[Any]) -> None:
    """Set what makes the missing values of a dict."""
    one.default_factory = state[0]
