"""What streams refer to beside their own objects: the namespace, its variables, values of libraries.

Streams call the function with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import builtins
import math
import pickle
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from cloudpickle import cloudpickle as _internals

from respawn_kernels.namespace import live_shell
from respawn_kernels.rebuild import stable_name
from respawn_kernels.session_state.patching import baseline

_resolver: ContextVar[Callable[[str], Any]] = ContextVar("respawn_named")
VALUE, NAN, INTERNED, LIBRARY, SHELL = "value:", "nan:", "interned:", "library:", "shell:"
"""How references begin: to a variable, a NaN of this stream, an interned text, a library's or the shell's."""
_OF_LIBRARIES = (
    *(("argparse", "SUPPRESS"), ("numpy", "nan"), ("math", "nan"), ("cmath", "nan")),
    # Lists and dicts of the session, whose content its parts bring back.
    *(("sys", "path"), ("sys", "argv"), ("sys", "modules"), ("sys", "meta_path"), ("sys", "path_hooks")),
    *(("warnings", "filters"), ("copyreg", "dispatch_table"), ("gc", "callbacks")),
)


def library_values() -> dict[int, str]:
    """Return references to what libraries have once and that is known by identity, by its id."""
    found: dict[int, str] = {}
    for module, name in _OF_LIBRARIES:
        value = getattr(sys.modules.get(module), name, None)
        if value is not None:
            found.setdefault(id(value), f"{LIBRARY}{module}:{name}")
    return found | {id(value): f"{SHELL}{name}" for name, value in _histories().items()}


def _histories() -> dict[str, Any]:
    """Return the lists and dicts in which the shell keeps inputs and results; its parts fill them."""
    shell = live_shell()
    history, names = getattr(shell, "history_manager", None), getattr(shell, "user_ns", {})
    found = {
        "In": getattr(history, "input_hist_parsed", None),
        "raw": getattr(history, "input_hist_raw", None),
        "Out": names.get("_oh"),
        "directories": names.get("_dh"),
    }
    return {name: value for name, value in found.items() if type(value) in (list, dict)}


_OURS = 4
"""How many refer to a container that no module has: two mappings, the loop, and the call that counts."""


def containers_of_libraries(values: Mapping[str, Any]) -> dict[int, str]:
    """Return references to lists, dicts and sets that a library's module has too, by their ids.

    Args:
        values: the variables that may be such a container, by name; the namespace has each of them, too.
    """
    # To look at all modules takes tens of milliseconds where there is an audit hook, which hears each `id`.
    wanted = {
        id(one) for one in values.values() if type(one) in (list, dict, set) and sys.getrefcount(one) > _OURS
    }
    found: dict[int, str] = {}
    for name, module in list(sys.modules.items()) if wanted else ():
        inside = getattr(module, "__dict__", None)
        if type(inside) is not dict or wanted.isdisjoint(map(id, list(inside.values()))):
            continue
        for key, value in list(inside.items()):
            if id(value) in wanted and type(key) is str and baseline.is_installed(name, key, value):
                found.setdefault(id(value), f"{LIBRARY}{name}:{key}")
    return found


def _referred(reference: str, numbers: dict[str, float]) -> Any:
    """Return what a reference stands for."""
    if reference.startswith(VALUE):
        return named_value(reference.removeprefix(VALUE))
    if reference.startswith(INTERNED):
        return sys.intern(reference.removeprefix(INTERNED))
    if reference.startswith(LIBRARY):
        module, _, name = reference.removeprefix(LIBRARY).partition(":")
        return getattr(_internals.subimport(module), name, math.nan)
    if reference.startswith(SHELL):
        name = reference.removeprefix(SHELL)
        return _histories().get(name, {} if name == "Out" else [])
    if reference.startswith(NAN):
        if reference not in numbers:
            numbers[reference] = struct.unpack(">d", bytes.fromhex(reference.rpartition(":")[2]))[0]
        return numbers[reference]
    raise pickle.UnpicklingError(f"unknown reference {reference!r}")


class References:
    """Resolves what a stream refers to besides its own objects (persistent ids, documentation of pickle)."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._numbers: dict[str, float] = {}

    def answer(self, reference: str) -> Any:
        """Return what a reference stands for."""
        if reference == "namespace":
            return self._namespace
        if reference == "builtins":
            return vars(builtins)
        return _referred(reference, self._numbers)


@contextmanager
def resolving(resolve: Callable[[str], Any]) -> Iterator[None]:
    """Resolve references to variables by `resolve` while streams are loaded in this context.

    Args:
        resolve: called with a variable's name; returns its value.
    """
    token = _resolver.set(resolve)
    try:
        yield
    finally:
        _resolver.reset(token)


@stable_name
def named_value(name: str) -> Any:
    """Return the variable of the checkpoint that a stream refers to by name.

    Raises:
        pickle.UnpicklingError: the stream is not loaded with its checkpoint, so that names mean nothing.
    """
    try:
        resolve = _resolver.get()
    except LookupError:
        raise pickle.UnpicklingError(f"{name} can only be loaded together with its checkpoint") from None
    return resolve(name)
