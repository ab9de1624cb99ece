"""How what `typing` makes for the notebook is taken apart: variables of types, new types, aliases.

They are known by identity alone, and pickle stores them by name, which nobody can import from a notebook.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import functools
import sys
import typing
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name
from respawn_kernels.reducers import lazy_types

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
    if (late := lazy_types.reduce_late_variable(one)) is not None:
        return late
    attributes = {name: getattr(one, name) for name in _VARIABLE if hasattr(one, name)}
    has_default = getattr(one, "has_default", None)
    default = one.__default__ if has_default is not None and has_default() else _UNSET
    return make_type_variable, (type(one), one.__name__, attributes, default, one.__module__)


@stable_name
def make_type_variable(kind: Any, name: str, attributes: dict[str, Any], default: Any, module: str) -> Any:
    """Return a variable of types.

    Args:
        kind: `TypeVar`, `ParamSpec` or `TypeVarTuple`.
        name: of the variable.
        attributes: its bound, constraints and variance, by the names of the attributes that have them.
        default: its default (PEP 696); `_UNSET` for none.
        module: the name of the module that made it.
    """
    given: dict[str, Any] = {}
    constraints = attributes.get("__constraints__") or ()
    if attributes.get("__bound__") is not None:
        given["bound"] = attributes["__bound__"]
    for word in ("covariant", "contravariant", "infer_variance"):
        if attributes.get(f"__{word}__"):
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


@stable_name
def make_new_type() -> Any:
    """Return a new type without attributes."""
    return object.__new__(typing.NewType)


@stable_name
def fill_new_type(one: Any, inside: dict[str, Any]) -> None:
    """Set the attributes of a new type: its name, and the type that it is made of."""
    vars(one).update(inside)


def _alias(one: Any, _pickler: NamespacePickler) -> Any:
    if one.__module__ != "__main__":
        return NotImplemented
    if (late := lazy_types.reduce_late_alias(one)) is not None:
        return late
    if (asked := lazy_types.reduce_asked_alias(one)) is not None:
        return asked
    return make_type_alias, (one.__name__, one.__value__, one.__type_params__)


@stable_name
def make_type_alias(name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    """Return an alias of a type.

    Args:
        name: of the alias.
        value: what it stands for.
        parameters: its type parameters.
    """
    kind: Any = typing.TypeAliasType  # type: ignore[attr-defined]
    # The constructor takes the module of the function that calls it.
    make = FunctionType(_call.__code__, {"__name__": "__main__"})
    return make(functools.partial(kind, name, value, type_params=parameters))


def _call(function: Any) -> Any:
    return function()
