"""Results of a cell that hold addresses of objects, which differ in another process.

`hash` of an object whose class defines no hash is such a number; only the argument of a call shows whether it
is. Each place in the notebook's code that calls `hash` is looked at once a cell (Python 3.12 and later). A
text such as `<Node object at 0x7f…>` is another; variables that a cell binds are searched, and what lies in
them.
"""

from __future__ import annotations

import builtins
import re
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from types import CodeType
from typing import Any

_IN_TEXT = re.compile(r" at 0x[0-9a-fA-F]{6,}\b")
_LONGEST = 2_000
_MAX = 50
_MAX_VALUES = 500
"""Values that are searched for one cell, at most."""
_DEPTH = 3
_MAX_NAMED = 20
_BY_ADDRESS = (types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType)
_HOLDS = frozenset([list, tuple, set, frozenset])


class HashCalls:
    """Calls of `hash` whose result is an address.

    Args:
        disable: what a callback returns to be called no more for a place (`sys.monitoring.DISABLE`).
    """

    def __init__(self, disable: Any) -> None:
        self.found: set[str] = set()
        self._disable = disable

    def callback(self) -> Callable[[CodeType, int, Any, Any], Any]:
        """Return what is to be called when code calls something."""
        real, disable, found = builtins.hash, self._disable, self.found

        def called(_code: CodeType, _offset: int, function: Any, argument: Any) -> Any:
            if function is real and _is_by_address(argument) and len(found) < _MAX_NAMED:
                found.add(f"hash of {type(argument).__qualname__}"[:100])
            return disable

        return called


def texts_with_addresses(names: Iterable[str], namespace: dict[str, Any]) -> Iterator[str]:
    """Yield which variables hold texts with addresses of objects, such as `text in keys`."""
    left = _MAX_VALUES
    for name in names:
        waiting = [namespace[name]] if name in namespace else []
        while waiting and left > 0:
            left -= 1
            value = waiting.pop()
            if type(value) is str and _tells(value):
                yield f"text in {name}"
                break
            with suppress(RuntimeError):  # another thread changes it
                waiting += _inside(value)


def _tells(text: str) -> bool:
    return len(text) <= _LONGEST and " at 0x" in text and _IN_TEXT.search(text) is not None


def _inside(value: Any) -> list[Any]:
    kind = type(value)
    if kind is dict:
        return [*islice(value, _MAX), *islice(value.values(), _MAX)]
    return list(islice(value, _MAX)) if kind in _HOLDS else []


def _is_by_address(value: Any, depth: int = 0) -> bool:
    kind = type(value)
    if kind in (tuple, frozenset):
        return depth < _DEPTH and any(_is_by_address(one, depth + 1) for one in islice(value, _MAX))
    return kind in _BY_ADDRESS or type.__getattribute__(kind, "__hash__") is object.__hash__
