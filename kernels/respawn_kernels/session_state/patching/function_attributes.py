"""Attributes that cells set on functions of libraries: `textwrap.dedent.calls = 3`."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from respawn_kernels.session_state.patching.assigned_names import mentioned_words, set_attributes

_OF_EVERY_FUNCTION = ("__defaults__", "__kwdefaults__", "__doc__", "__name__", "__qualname__")


def set_on_functions(module: ModuleType) -> Iterator[tuple[str, str, Any]]:
    """Return function, attribute and value for functions that cells name, and attributes that cells set.

    Args:
        module: a module; of its functions those count that were defined in it.
    """
    attributes = set_attributes()
    if not attributes:
        return
    for name in mentioned_words() & vars(module).keys():
        function = vars(module)[name]
        if type(function) is FunctionType and function.__module__ == module.__name__:
            own = vars(function)
            yield from ((name, key, own[key]) for key in attributes & own.keys())
            special = (key for key in _OF_EVERY_FUNCTION if key in attributes)
            yield from ((name, key, getattr(function, key)) for key in special)
