"""The attributes of a class, whatever its metaclass answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

_dict_of: Any = type.__dict__["__dict__"]


def attributes_of(cls: type) -> Mapping[str, Any]:
    """Return the attributes that a class has itself; its metaclass is not asked."""
    return cast("Mapping[str, Any]", _dict_of.__get__(cls))
