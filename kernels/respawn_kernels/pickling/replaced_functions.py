"""Functions and classes of a library in whose place a cell has put others.

`real = time.time; time.time = mine`: what the cell keeps is not found under its name any more, and a copy of
it would be another function or class than the one that the library itself still uses.

Streams call `make_original` when they are loaded.
"""

from __future__ import annotations

import importlib
import sys
from types import BuiltinFunctionType, FunctionType
from typing import Any

from respawn_kernels.rebuild import stable_name
from respawn_kernels.session_state.patching import baseline
from respawn_kernels.session_state.patching.class_attributes import module_of, qualname_of


def reduce_replaced(one: Any) -> Any:
    """Refer to a function or class by what an import left; NotImplemented where it is in its place."""
    if issubclass(type(one), type):
        module, name = module_of(one), qualname_of(one)
    else:
        module, name = one.__module__, one.__qualname__
    if type(module) is not str or module not in sys.modules:
        return NotImplemented
    if getattr(sys.modules[module], "__dict__", {}).get(name) is one:
        return NotImplemented
    return (make_original, (module, name)) if baseline.of_import(module, name) is one else NotImplemented


@stable_name
def make_original(module: str, name: str) -> Any:
    """Return what a module had under a name when its import ended."""
    loaded = importlib.import_module(module)
    baseline.look()
    original = baseline.of_import(module, name)
    return getattr(loaded, name) if original is None else original


def as_written(module: str, name: str, found: Any) -> Any:
    """Return what a stream means by a name, where a cell has put something else there since it was written.

    What stands there now and has the same name itself (`functools.wraps`) may have been written by this name
    as well, after it was put there. The two cannot be distinguished, and what stands there is returned.

    Args:
        module: the module that the stream names.
        name: in the module.
        found: what has the name now.
    """
    original = baseline.of_import(module, name)
    if original is None or original is found or not _has_name(original, module, name):
        return found
    return found if _has_name(found, module, name) else original


def _has_name(one: Any, module: str, name: str) -> bool:
    if issubclass(type(one), type):
        return bool(module_of(one) == module and qualname_of(one) == name)
    if type(one) in (FunctionType, BuiltinFunctionType):
        return bool(one.__module__ == module and one.__qualname__ == name)
    return False
