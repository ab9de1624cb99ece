"""Functions and classes of a library whose place in its module a cell gave to others.

`real = time.time; time.time = mine`: what the cell keeps is found no more under its name, and a copy of it
would be another function or class than the one that the library goes on using.

`make_original` is what streams call when they are loaded: old checkpoints need it, so it stays.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from respawn_kernels.session_state.patching import baseline
from respawn_kernels.session_state.patching.attributes import module_of, qualname_of


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


def make_original(module: str, name: str) -> Any:
    """Return what a module had under a name when its import ended."""
    loaded = importlib.import_module(module)
    baseline.look()
    original = baseline.of_import(module, name)
    return getattr(loaded, name) if original is None else original
