"""Attributes that cells set on functions of libraries: `textwrap.dedent.calls = 3`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import FunctionType, ModuleType
from typing import Any

_OF_EVERY_FUNCTION = ("__defaults__", "__kwdefaults__", "__doc__", "__name__", "__qualname__")


def set_on_functions(
    module: ModuleType, mentioned: Collection[str], attributes: set[str]
) -> Iterator[tuple[str, str, Any]]:
    """Return function, attribute and value for functions that cells name, and attributes that cells set.

    Args:
        module: a module; of its functions those count that were defined in it.
        mentioned: the names that cells use (`assigned_names.mentioned_words`).
        attributes: the names of attributes that cells set (`assigned_names.set_attributes`).
    """
    if not attributes:
        return
    for name in vars(module).keys() & mentioned:
        function = vars(module)[name]
        if type(function) is FunctionType and function.__module__ == module.__name__:
            own = vars(function)
            yield from ((name, key, own[key]) for key in attributes & own.keys())
            special = (key for key in _OF_EVERY_FUNCTION if key in attributes)
            yield from ((name, key, getattr(function, key)) for key in special)
