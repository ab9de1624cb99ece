"""How what `typing` makes for the notebook is taken apart: variables of types, new types, aliases.

They are known by identity alone, and pickle asks for their name, which nobody can import from a notebook.

Functions named `make_…` and `fill_…` are what streams call when they are loaded: old checkpoints need them,
so they stay.
"""

from __future__ import annotations

import functools
import sys
import typing
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from respawn_kernels.pickling import NamespacePickler, Reducer

_VARIABLE = ("__bound__", "__constraints__", "__covariant__", "__contravariant__", "__infer_variance__")
_UNSET = "respawn: no default"


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions."""
    found: dict[type, Reducer] = dict.fromkeys(
        (typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple), _variable
    )
    found[typing.NewType] = _new_type
    if sys.version_info >= (3, 12):
        found[typing.TypeAliasType] = _alias
    return found


def _variable(one: Any, _pickler: NamespacePickler) -> Any:
    if one.__module__ != "__main__":
        module, name = sys.modules.get(one.__module__), one.__name__
        if getattr(module, name, None) is one:
            return getattr, (module, name)
    told = {name: getattr(one, name) for name in _VARIABLE if hasattr(one, name)}
    has_default = getattr(one, "has_default", None)
    default = one.__default__ if has_default is not None and has_default() else _UNSET
    return make_type_variable, (type(one), one.__name__, told, default, one.__module__)


def make_type_variable(kind: Any, name: str, told: dict[str, Any], default: Any, module: str) -> Any:
    """Return a variable of types."""
    given: dict[str, Any] = {}
    constraints = told.get("__constraints__") or ()
    if told.get("__bound__") is not None:
        given["bound"] = told["__bound__"]
    for word in ("covariant", "contravariant", "infer_variance"):
        if told.get(f"__{word}__"):
            given[word] = True
    if default is not _UNSET and default != _UNSET:
        given["default"] = default
    made = kind(name, *constraints, **given)
    made.__module__ = module
    return made


def _new_type(one: Any, _pickler: NamespacePickler) -> Any:
    if one.__module__ != "__main__":
        return NotImplemented
    return make_new_type, (), dict(vars(one)), None, None, fill_new_type


def make_new_type() -> Any:
    """Return a new type of nothing yet."""
    return object.__new__(typing.NewType)


def fill_new_type(one: Any, inside: dict[str, Any]) -> None:
    """Give a new type its name and what it is made of."""
    vars(one).update(inside)


def _alias(one: Any, _pickler: NamespacePickler) -> Any:
    if one.__module__ != "__main__":
        return NotImplemented
    return make_type_alias, (one.__name__, one.__value__, one.__type_params__)


def make_type_alias(name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    """Return an alias of a type. It says of itself that it is of the module whose code made it."""
    kind: Any = typing.TypeAliasType  # type: ignore[attr-defined]
    make = FunctionType(_call.__code__, {"__name__": "__main__"})
    return make(functools.partial(kind, name, value, type_params=parameters))


def _call(function: Any) -> Any:
    return function()
