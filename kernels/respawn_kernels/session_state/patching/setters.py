"""Functions of a module that set one of its variables to what they are given: `global x; x = argument`.

A variable of a library that such a function set holds what the caller gave. One that another function set may
be a cache, which the library fills again by itself.
"""

from __future__ import annotations

import dis
from functools import cache
from types import CodeType, FunctionType, ModuleType


def set_by(module: ModuleType, words: set[str]) -> set[str]:
    """Return the names of a module's variables that its functions set to an argument.

    Args:
        module: the module; of its functions those count that were defined in it.
        words: the names of the functions that count.
    """
    found: set[str] = set()
    for name in words & vars(module).keys():
        function = vars(module)[name]
        if type(function) is FunctionType and function.__module__ == module.__name__:
            found |= _set_to_argument(function.__code__)
    return found


@cache
def _set_to_argument(code: CodeType) -> frozenset[str]:
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    found: set[str] = set()
    before: dis.Instruction | None = None
    for one in dis.get_instructions(code):
        if one.opname == "STORE_GLOBAL" and before is not None:
            loads = before.opname in ("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW")
            if loads and before.argval in arguments:
                found.add(one.argval)
        before = one
    return frozenset(found)
