"""Which variables share objects, and so belong to one group.

Pickling a variable by itself meets every object that it leads to. Two variables that meet one object which
can change, or whose identity can be seen, are stored together. Objects that never change (text, numbers,
types by reference) bind no variables together: two copies of them cannot be distinguished from one.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from typing import Any

_CODE = {
    *("function", "builtin_function_or_method", "cython_function_or_method"),
    *("method_descriptor", "wrapper_descriptor", "classmethod_descriptor", "method-wrapper"),
}


class Groups:
    """Names that belong together, joined pair by pair: disjoint sets (Galler and Fischer 1964)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._parent = {name: name for name in names}

    def find(self, name: str) -> str:
        """Return the name that stands for a group."""
        root = name
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[name] != root:  # path compression: the next look-up is short
            self._parent[name], name = root, self._parent[name]
        return root

    def join(self, one: str, other: str) -> None:
        """Put two groups together."""
        self._parent[self.find(other)] = self.find(one)

    def sets(self) -> list[list[str]]:
        """Return the groups, each in the order in which the names were given."""
        found: dict[str, list[str]] = {}
        for name in self._parent:
            found.setdefault(self.find(name), []).append(name)
        return list(found.values())


def _is_one_of_its_kind(value: Any, kind: type) -> bool:
    """Return whether an object that never changes is known by its identity all the same.

    Two times are in one zone when that is one object; `ZoneInfo.no_cache` makes another one at each call.
    """
    return kind.__name__ == "ZoneInfo" and kind.__module__ == "zoneinfo" and not value.__reduce__()[1][1]


def binding(
    memo: Mapping[int, tuple[int, Any]],
    immutable: Collection[type],
    by_value: Collection[int],
    nobodys: Collection[int],
) -> dict[int, Any]:
    """Return the objects of a pickler's memo that bind variables together, by id.

    Args:
        memo: the pickler's memo: place and object by the object's id.
        immutable: types whose objects never change.
        by_value: ids of the functions and classes that were pickled by value; others are references.
        nobodys: ids of objects that belong to a library or to the session, such as a list in a class of
            pandas.
    """
    found: dict[int, Any] = {}
    for key, (_, value) in memo.items():
        kind = type(value)
        if (kind in immutable and not _is_one_of_its_kind(value, kind)) or key in nobodys:
            continue
        if kind in (tuple, frozenset):
            if all(type(item) in immutable for item in value):
                continue
        elif issubclass(kind, enum.Enum) or (_is_code(value, kind) and key not in by_value):
            continue
        found[key] = value
    return found


def _is_code(value: Any, kind: type) -> bool:
    return issubclass(kind, type) or kind.__name__ in _CODE


def overlapping(ranges: Iterable[tuple[int, int, str]]) -> list[tuple[str, str]]:
    """Return pairs of names whose memory overlaps, enough of them to join all such names.

    Args:
        ranges: first address of a piece of memory, the one past its last, and the variable that it belongs
            to.
    """
    pairs: list[tuple[str, str]] = []
    # Sorted by its beginning, a piece that overlaps any one before it overlaps the one that reaches furthest.
    reach, owner = -1, ""
    for start, end, name in sorted(ranges):
        if start < reach and name != owner:
            pairs.append((owner, name))
        if end > reach:
            reach, owner = end, name
    return pairs


def cycles(requires: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Return the sets of names that require each other, directly or not (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for start in requires:
        if start in index:
            continue
        work = [(start, iter(requires[start]))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, following = work[-1]
            for other in following:
                if other not in requires:
                    continue
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(requires[other])))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    found.append(_popped(stack, on_stack, node))
    return [names for names in found if len(names) > 1]


def _popped(stack: list[str], on_stack: set[str], node: str) -> list[str]:
    names = []
    while True:
        name = stack.pop()
        on_stack.discard(name)
        names.append(name)
        if name == node:
            return names
