"""How enumerations of the notebook are taken apart: their members are data, and no constructor runs again.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from respawn_kernels.pickling import classes
from respawn_kernels.pickling.instances import make_raw, payload_of
from respawn_kernels.rebuild import stable_name

_TABLES = ("_member_map_", "_value2member_map_")


def reduce_enum(cls: Any) -> Any:
    """Return how an enumeration of the notebook is made again."""
    function, arguments, (state, _), *_ = classes.reduce_class(cls)
    members: dict[int, Any] = {id(one): one for one in cls._member_map_.values()}
    members |= {id(one): one for one in cls._value2member_map_.values()}
    place = {key: number for number, key in enumerate(members)}
    tables = (
        [(name, place[id(one)]) for name, one in cls._member_map_.items()],
        [(value, place[id(one)]) for value, one in cls._value2member_map_.items()],
    )
    # Of flags, each keeps its opposite once that was asked for.
    links = [{n: place[id(v)] for n, v in vars(one).items() if id(v) in members} for one in members.values()]
    insides = [{n: None if id(v) in members else v for n, v in vars(one).items()} for one in members.values()]
    parts = [(*payload_of(one), *both) for one, *both in zip(members.values(), insides, links, strict=True)]
    attributes = {n: v for n, v in state.items() if id(v) not in members and n not in _TABLES}
    of_members = [(name, place[id(value)]) for name, value in state.items() if id(value) in members]
    whole = parts, tables, attributes, of_members, list(state)
    return function, arguments, whole, None, None, fill_enum


@stable_name
def fill_enum(cls: Any, state: tuple[Any, ...]) -> None:
    """Set the members and attributes of an enumeration."""
    parts, (names, values), attributes, of_members, order = state
    members = []
    for base, payload, inside, *_ in parts:
        member = make_raw(cls, base, payload)
        vars(member).update(inside)
        members.append(member)
    for member, (_, _, _, *links) in zip(members, parts, strict=True):
        for name, place in links[0].items() if links else ():
            vars(member)[name] = members[place]
    found = dict(attributes) | {name: members[place] for name, place in of_members}
    found["_member_map_"] = {name: members[place] for name, place in names}
    found["_value2member_map_"] = {value: members[place] for value, place in values}
    classes.fill_class(cls, ({name: found[name] for name in order}, ()))


def reduce_member(member: Any) -> Any:
    """Return how a member of a notebook's enumeration is found again."""
    cls, name = type(member), member._name_
    if name is not None and cls._member_map_.get(name) is member:
        return make_member, (cls, name)
    return make_member_of_value, (cls, member._value_)


@stable_name
def make_member(cls: Any, name: str) -> Any:
    """Return the member of a name."""
    return cls._member_map_[name]


@stable_name
def make_member_of_value(cls: Any, value: Any) -> Any:
    """Return the member of a value, which may be a combination of flags that has no name."""
    known: Mapping[Any, Any] = cls._value2member_map_
    return known[value] if value in known else cls(value)


def is_enum(cls: type) -> bool:
    """Return whether a class is an enumeration."""
    return issubclass(cls, enum.Enum)
