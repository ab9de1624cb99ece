"""How enumerations of the notebook are taken apart: their members are data, and no constructor runs again.

Functions named `make_…` and `fill_…` are what streams call when they are loaded: old checkpoints need them,
so they stay.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from respawn_kernels import class_reductions
from respawn_kernels.instance_reductions import make_raw, payload_of

_TABLES = ("_member_map_", "_value2member_map_")


def reduce_enum(cls: Any) -> Any:
    """Return how an enumeration of the notebook is made again."""
    function, arguments, (state, _), *_ = class_reductions.reduce_class(cls)
    members: dict[int, Any] = {id(one): one for one in cls._member_map_.values()}
    members |= {id(one): one for one in cls._value2member_map_.values()}
    place = {key: number for number, key in enumerate(members)}
    tables = (
        [(name, place[id(one)]) for name, one in cls._member_map_.items()],
        [(value, place[id(one)]) for value, one in cls._value2member_map_.items()],
    )
    parts = [(*payload_of(one), dict(vars(one))) for one in members.values()]
    attributes = {n: v for n, v in state.items() if id(v) not in members and n not in _TABLES}
    of_members = [(name, place[id(value)]) for name, value in state.items() if id(value) in members]
    whole = parts, tables, attributes, of_members, list(state)
    return function, arguments, whole, None, None, fill_enum


def fill_enum(cls: Any, state: tuple[Any, ...]) -> None:
    """Give an enumeration its members and attributes."""
    parts, (names, values), attributes, of_members, order = state
    members = []
    for base, payload, inside in parts:
        member = make_raw(cls, base, payload)
        vars(member).update(inside)
        members.append(member)
    found = dict(attributes) | {name: members[place] for name, place in of_members}
    found["_member_map_"] = {name: members[place] for name, place in names}
    found["_value2member_map_"] = {value: members[place] for value, place in values}
    class_reductions.fill_class(cls, ({name: found[name] for name in order}, ()))


def reduce_member(member: Any) -> Any:
    """Return how a member of a notebook's enumeration is found again."""
    cls, name = type(member), member._name_
    if name is not None and cls._member_map_.get(name) is member:
        return make_member, (cls, name)
    return make_member_of_value, (cls, member._value_)


def make_member(cls: Any, name: str) -> Any:
    """Return the member of a name."""
    return cls._member_map_[name]


def make_member_of_value(cls: Any, value: Any) -> Any:
    """Return the member of a value, which may be a combination of flags that has no name."""
    known: Mapping[Any, Any] = cls._value2member_map_
    return known[value] if value in known else cls(value)


def is_enum(cls: type) -> bool:
    """Tell whether a class is an enumeration."""
    return issubclass(cls, enum.Enum)
