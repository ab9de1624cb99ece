"""The attributes of a class, without asking its metaclass: `type`'s own descriptors read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

_dict_of: Any = type.__dict__["__dict__"]
_module_of: Any = type.__dict__["__module__"]
_qualname_of: Any = type.__dict__["__qualname__"]


def attributes_of(cls: type) -> Mapping[str, Any]:
    """Return the attributes that a class has itself; its metaclass is not asked."""
    return cast("Mapping[str, Any]", _dict_of.__get__(cls))


class _Behind:
    """What is given the dict behind a mapping proxy: the operator `|` of a proxy is that of its dict."""

    def __ror__(self, inside: Any) -> Any:
        return inside


_behind: Any = _Behind()


def own_dict_of(cls: type) -> dict[str, Any]:
    """Return the dict itself in which a class has its attributes, to look at; no audit hook is told."""
    inside: dict[str, Any] = attributes_of(cls) | _behind
    return inside


def qualname_of(cls: type) -> str:
    """Return the dotted name of a class in its module; its metaclass is not asked."""
    return str(_qualname_of.__get__(cls))


def module_of(cls: type) -> Any:
    """Return the name of a class's module, mostly a text; its metaclass is not asked."""
    return _module_of.__get__(cls)
