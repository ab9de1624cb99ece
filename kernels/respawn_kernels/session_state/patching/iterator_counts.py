"""`itertools.count`, and what draws from one: how far it is, without drawing."""

from __future__ import annotations

import itertools
import re
from functools import partial
from types import MethodWrapperType
from typing import Any

DRAWING = frozenset([itertools.count, MethodWrapperType, partial])
"""Types of what may draw from a count: itself, its bound `__next__`, and `partial(next, count)`."""
_BY_ONE = re.compile(r"count\((\d+)\)")


def count_in(value: Any) -> Any:
    """Return the count that a value draws from; None where it draws from none."""
    if type(value) is MethodWrapperType and value.__name__ == "__next__":
        value = value.__self__
    elif type(value) is partial and value.func is next and value.args:
        value = value.args[0]
    return value if type(value) is itertools.count else None


def number_of(value: Any) -> int | None:
    """Return the number that comes next; None where it is no count of whole numbers by one."""
    count = count_in(value)
    found = None if count is None else _BY_ONE.fullmatch(repr(count))
    return None if found is None else int(found[1])
