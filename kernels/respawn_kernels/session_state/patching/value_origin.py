"""Whose a value is: the notebook's or a library's. Nobody's code runs for it."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Container, Iterator
from functools import partial
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

from respawn_kernels.namespace import live_shell
from respawn_kernels.session_state.patching.class_attributes import attributes_of
from respawn_kernels.session_state.patching.container_contents import entries
from respawn_kernels.session_state.patching.value_marks import ATOMS

_MAX_INSIDE = 50
_DEEPEST = 3


def is_own(value: Any, words: Container[str] = (), depth: int = _DEEPEST) -> bool:
    """Return whether a value is a function, class or instance of the notebook, or holds such a value.

    Args:
        value: anything.
        words: texts that count as the notebook's too; one letter may be anything.
        depth: how many steps into containers, methods and objects it looks.
    """
    kind = type(value)
    if kind is str:
        return len(value) > 1 and value in words
    if kind in ATOMS or issubclass(kind, ModuleType):
        return False
    if kind is FunctionType:
        return bool(value.__module__ == "__main__")
    if issubclass(kind, type):
        return attributes_of(value).get("__module__") == "__main__"
    if attributes_of(kind).get("__module__") == "__main__":
        return True
    if kind is BuiltinMethodType and _is_variable(value.__self__):
        return True
    return depth > 0 and any(is_own(one, words, depth - 1) for one in _inside(value, kind))


def _is_variable(value: Any) -> bool:
    """Return whether a container is one of the notebook's variables: `rows.append` was given to a library."""
    if type(value) not in (list, dict, set, deque):
        return False
    return any(one is value for one in list(getattr(live_shell(), "user_ns", {}).values()))


def package_in_loops() -> str:
    """Return the library whose functions run asyncio's loops in place of asyncio's own; empty for none.

    `nest_asyncio` changes the class of the loop that is running. It does so by a dozen assignments that need
    each other, so none of them is given back alone: the kernel would stop with its next message.
    """
    root = getattr(sys.modules.get("asyncio.base_events"), "BaseEventLoop", None)
    waiting = [] if root is None else [root]
    while waiting:
        cls = waiting.pop()
        waiting += type.__subclasses__(cls)
        if str(cls.__module__).partition(".")[0] == "asyncio":
            for name in ("run_forever", "run_until_complete", "_run_once"):
                module = getattr(attributes_of(cls).get(name), "__module__", None)
                package = str(module or "asyncio").partition(".")[0]
                if package not in ("asyncio", "__main__"):
                    return package
    return ""


def _inside(value: Any, kind: type) -> Iterator[Any]:
    if kind is MethodType:
        yield from (value.__func__, value.__self__)
    elif kind is BuiltinMethodType:
        yield value.__self__
    elif issubclass(kind, partial):
        yield from (value.func, *value.args)
    elif kind in (staticmethod, classmethod):
        yield value.__func__
    elif issubclass(kind, tuple):
        yield from list(tuple.__iter__(value))[:_MAX_INSIDE]
    elif issubclass(kind, list | dict | set):
        for part in entries(value):
            yield from part[-_MAX_INSIDE:]
    else:
        try:
            inside = object.__getattribute__(value, "__dict__")
        except AttributeError:
            return
        if type(inside) is dict:
            yield from list(inside.values())[:_MAX_INSIDE]
