"""Forks of our own, for which handlers of the notebook and its libraries are not called.

A handler of `os.register_at_fork` is meant for forks of the program that registered it. One that prints in a
forked child blocks on a kernel that is not there, one that counts miscounts, one that clears a cache empties
it in the checkpoint. So registering is wrapped before the first cell, and what is registered from then on
is skipped for our forks and runs for all others. Python's own handlers always run: they make locks anew.

Those that startup files and what they import registered before are found in the interpreter's own lists,
which the garbage collector knows; the kernel's own stay as they are. Limit: handlers of libraries in C
(pthread_atfork) run for our forks too.
"""

from __future__ import annotations

import functools
import gc
import os
import posix
import sys
import threading
import warnings
from typing import Any

_os_fork = os.fork
_register = os.register_at_fork
_of_notebook: list[dict[str, Any]] = []
"""What cells have registered, each call by itself."""
_forking: int | None = None
"""The thread that is forking for us, as the handlers run in it."""
_IGNORED: Any = ("ignore", None, DeprecationWarning, None, 0)


_KERNELS_OWN = {"IPython", "ipykernel", "zmq", "tornado", "traitlets", "jupyter_client", "debugpy"}
"""Packages that a kernel consists of: IPython's handler ends a thread that would run in the fork."""


def pass_over_handlers() -> None:
    """Wrap `os.register_at_fork`, so that handlers of others do not run for our forks."""
    if os.register_at_fork is not _register:
        return
    for handlers in find_handlers():
        handlers[:] = [one if _is_own(_module_of(one)) else _for_others(one) for one in handlers]
    os.register_at_fork = posix.register_at_fork = _registering


@functools.cache
def find_handlers() -> list[list[Any]]:
    """Return the interpreter's lists of handlers: those that hold three marks, which are taken out again.

    It has the same lists for as long as it lives, also in a fork.
    """
    marks = (lambda: None, lambda: None, lambda: None)
    _register(before=marks[0], after_in_parent=marks[1], after_in_child=marks[2])
    lists = [one for one in gc.get_referrers(*marks) if type(one) is list]
    found = [one for one in lists if any(one[-1] is mark for mark in marks)]
    for handlers in found:
        handlers.pop()
    return found


def _module_of(handler: Any) -> object:
    """Return the module whose code a handler is; `builtins` for a method of a list or the like."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    named = getattr(handler, "__module__", None)
    return named or getattr(getattr(handler, "__self__", None), "__module__", None)


@functools.wraps(_register)
def _registering(**handlers: Any) -> None:
    caller = sys._getframe(1).f_globals.get("__name__")
    if caller == "__main__":
        _of_notebook.append(dict(handlers))
    if not _is_own(caller):
        handlers = {when: _for_others(handler) for when, handler in handlers.items()}
    _register(**handlers)


def registered_by_cells() -> list[dict[str, Any]]:
    """Return the handlers of forks that cells have registered, in their order."""
    return list(_of_notebook)


def register_for_cells(handlers: dict[str, Any]) -> None:
    """Register handlers of forks once more that cells had registered in another process."""
    _of_notebook.append(handlers)
    _register(**{when: _for_others(handler) for when, handler in handlers.items()})


def _is_own(module: object) -> bool:
    """Return whether a module is Python's own or the kernel's."""
    package = module.partition(".")[0] if isinstance(module, str) else ""
    return package in _KERNELS_OWN or (package in sys.stdlib_module_names and package != "builtins")


def _for_others(handler: Any) -> Any:
    if not callable(handler):
        return handler  # Python says what is wrong with it

    @functools.wraps(handler, updated=())
    def unless_ours() -> None:
        if _forking != threading.get_ident():
            handler()

    return unless_ours


def fork() -> int:
    """Fork as `os.fork` does, without handlers of others, and with the generator that the parent has.

    Raises:
        OSError: there is no memory, or no more processes are allowed.
    """
    global _forking
    # The module `random` seeds its generator anew in every forked child (`register_at_fork` in random.py).
    generator = sys.modules.get("random")
    state = generator.getstate() if generator is not None else None
    _forking = threading.get_ident()
    try:
        pid = _os_fork()
    finally:
        _forking = None
    if pid == 0 and generator is not None:
        generator.setstate(state)
    return pid


def fork_without_warning() -> int:
    """Fork a process that has threads; from 3.12 on Python warns that they may hold locks.

    That is https://github.com/python/cpython/issues/100228; `fork_safety` and `supervisor` deal with it. The
    filter is ours alone and leaves the list that it came to: with `catch_warnings`, warnings that were shown
    once would be shown again.
    """
    if sys.version_info < (3, 12):
        return fork()
    filters: Any = warnings.filters
    filters.insert(0, _IGNORED)
    try:
        return fork()
    finally:
        place = next((at for at, one in enumerate(filters) if one is _IGNORED), None)
        if place is not None:
            del filters[place]
