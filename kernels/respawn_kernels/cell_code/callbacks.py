"""What functions of the notebook may change that libraries call: handlers, hooks, replaced functions.

A cell that never names a variable changes it all the same when NumPy calls the function that `seterrcall` was
given. Whatever the session's state holds of the notebook may be called in any cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from respawn_kernels.cell_code.mentioned_names import named_by

_MAX = 5_000
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def named_by_callbacks(parts: Iterable[Any]) -> set[str] | None:
    """Return the global names that functions of the notebook mention which parts of the state hold.

    Args:
        parts: values of the session's state.

    Returns:
        The names; None when one of them may reach any variable, or there are too many functions.
    """
    names: set[str] = set()
    for count, one in enumerate(_held(parts)):
        found = named_by(one) if count < _MAX else None
        if found is None:
            return None
        names |= found
    return names


def _held(parts: Iterable[Any]) -> Iterator[Any]:
    """Return functions, classes and instances of the notebook, through containers and methods."""
    waiting, seen = list(parts), set[int]()
    while waiting:
        one = waiting.pop()
        kind = type(one)
        if kind in _PLAIN or id(one) in seen:
            continue
        seen.add(id(one))
        if kind is FunctionType and one.__module__ == "__main__":
            yield one
        elif kind is MethodType:
            waiting += [one.__func__, one.__self__]
        elif issubclass(kind, partial):
            waiting += [one.func, *one.args, *one.keywords.values()]
        elif kind in (list, tuple, set, frozenset):
            waiting += one
        elif issubclass(kind, dict):
            waiting += [*dict.keys(one), *dict.values(one)]
        elif kind.__module__ == "__main__" or (issubclass(kind, type) and one.__module__ == "__main__"):
            yield one
