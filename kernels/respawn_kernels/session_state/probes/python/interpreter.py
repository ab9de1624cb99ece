"""Settings of the Python interpreter, and the functions that it calls by itself."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import threading
from collections.abc import Callable, Hashable
from functools import cache
from types import FunctionType
from typing import Any

from respawn_kernels.originals import open_file
from respawn_kernels.session_state.patching import package_in_loops
from respawn_kernels.session_state.probe.initial_settings import SettingsProbe
from respawn_kernels.session_state.probe.interface import Lost, NotSet, Parts


def _stack() -> int:
    """Return the size of new threads' stacks; asking for it sets it to 0."""
    size = threading.stack_size()
    if size:
        threading.stack_size(size)
    return size


def _traced() -> int:
    """Return how many frames `tracemalloc` keeps of each allocation; 0 when it traces nothing."""
    tracing = sys.modules.get("tracemalloc")
    return tracing.get_traceback_limit() if tracing is not None and tracing.is_tracing() else 0


def _trace(limit: int) -> None:
    tracing = importlib.import_module("tracemalloc")
    tracing.stop()
    if limit:
        tracing.start(limit)


def _given_to_thread() -> dict[str, Any]:
    """Return the attributes of the main thread that are not Python's own."""
    return {name: one for name, one in vars(threading.main_thread()).items() if name[:1] != "_"}


def _set_arguments(value: list[str]) -> None:
    sys.argv[:] = value


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "switch interval": (sys.getswitchinterval, sys.setswitchinterval),
    "digits of an int as text": (sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    "collection of garbage": (gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    "thresholds of collection": (gc.get_threshold, lambda numbers: gc.set_threshold(*numbers)),
    "debugging of collection": (gc.get_debug, gc.set_debug),
    "stack of threads": (_stack, threading.stack_size),
    "tracing of memory": (_traced, _trace),
    "writing of bytecode": (
        lambda: not sys.dont_write_bytecode,
        lambda on: setattr(sys, "dont_write_bytecode", not on),
    ),
    "origin of coroutines": (
        sys.get_coroutine_origin_tracking_depth,
        sys.set_coroutine_origin_tracking_depth,
    ),
    "name of the main thread": (
        lambda: threading.main_thread().name,
        lambda name: setattr(threading.main_thread(), "name", name),
    ),
    "attributes of the main thread": (_given_to_thread, vars(threading.main_thread()).update),
    "arguments": (lambda: [*sys.argv], _set_arguments),
}


def interpreter() -> SettingsProbe:
    """Return the probe of limits, switches and arguments."""
    return SettingsProbe(
        "#interpreter",
        lambda: {name: read() for name, (read, _) in _SETTINGS.items()},
        lambda name, value: _SETTINGS[name][1](value),
    )


_HOOKS = {
    "sys.excepthook": (sys, "excepthook"),
    "sys.unraisablehook": (sys, "unraisablehook"),
    "sys.breakpointhook": (sys, "breakpointhook"),
    "threading.excepthook": (threading, "excepthook"),
}


def _name(function: object) -> tuple[str | None, str]:
    return getattr(function, "__module__", None), getattr(function, "__qualname__", repr(function))


class Hooks:
    """The functions that the interpreter calls when something happens, those of the notebook."""

    name = "#hooks"

    def __init__(self) -> None:
        self._start = {name: getattr(*place) for name, place in _HOOKS.items()}
        self._callbacks = list(gc.callbacks)

    def fingerprint(self) -> Hashable:
        """Return which functions they are."""
        hooks = (id(getattr(module, name)) for module, name in _HOOKS.values())
        return (*hooks, *map(id, gc.callbacks), id(sys.getprofile()), id(sys.gettrace()))

    def capture(self) -> Parts | None:
        """Return those that were replaced or added."""
        found = Parts()
        for name, (module, attribute) in _HOOKS.items():
            now = getattr(module, attribute)
            if now is not self._start[name] and now != self._start[name]:
                found[name] = now
        added = [one for one in gc.callbacks if one not in self._callbacks]
        if added:
            found["gc.callbacks"] = added
        for name, now in (("sys.setprofile", sys.getprofile()), ("sys.settrace", sys.gettrace())):
            if getattr(now, "__module__", None) == "__main__":  # not that of a debugger or coverage
                found[name] = now
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them."""
        for name, one in value.items():
            if name in _HOOKS:
                setattr(*_HOOKS[name], one)
            elif name == "gc.callbacks":
                # What was restored before, or defined again, is another object of the same name.
                names = {_name(call) for call in one}
                others = [c for c in gc.callbacks if c in self._callbacks or _name(c) not in names]
                gc.callbacks[:] = [*others, *one]
            else:
                getattr(sys, name.removeprefix("sys."))(one)


class Streams:
    """`sys.stdout`, `sys.stderr` and `sys.stdin`, where the notebook put others in their place."""

    name = "#streams"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return which ones they are."""
        return id(sys.stdout), id(sys.stderr), id(sys.stdin)

    def capture(self) -> Parts | None:
        """Return those that are not the kernel's own."""
        from respawn_kernels.host.standard_streams import is_own

        found = {name: getattr(sys, name) for name in ("stdout", "stderr", "stdin")}
        return Parts({name: one for name, one in found.items() if not is_own(name, one)}) or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them."""
        for name, one in value.items():
            setattr(sys, name, one)


class Loop:
    """The policy of asyncio's event loops, and of the loop that runs cells its exception handler and more.

    More is what was given to the loop. That a library has changed its class is named.
    """

    name = "#asyncio"

    def fingerprint(self) -> Hashable:
        """Return which they are."""
        given = tuple(_given_to(_running()))
        return id(_policy()), id(_handler()), id(_task_factory()), package_in_loops(), given

    def capture(self) -> Parts | None:
        """Return the policy, if its class is the notebook's or it was made by a library such as uvloop.

        The handler is kept where it is not that of asyncio or of what runs the kernel.
        """
        policy, handler = _policy(), _handler()
        found = Parts()
        if not _is_of_kernel(type(policy)):
            found["policy"] = type(policy)
        if handler is not None and not _is_of_kernel(getattr(handler, "__func__", handler)):
            found["handler"] = handler
        if (factory := _task_factory()) is not None:
            found["task factory"] = factory
        if package := package_in_loops():
            why = f"{package} has changed the class of the loop that runs cells, and must do that again"
            found["class"] = Lost(why, "setting")
        else:
            found |= {f"{_GIVEN}{name}": value for name, value in _given_to(_running()).items()}
        return found or None

    def restore(self, value: Any, shell: Any | None) -> None:
        """Set them; older checkpoints have the policy's class alone. Raises NotSet where no loop runs."""
        import asyncio

        parts = value if isinstance(value, dict) else {"policy": value}
        policy = parts.get("policy")
        if policy is not None and type(_policy()) is not policy:
            asyncio.set_event_loop_policy(policy())
        of_loop = {name: one for name, one in parts.items() if name != "policy"}
        if not of_loop:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise NotSet(dict.fromkeys(of_loop, str(error))) from error
        for name, one in of_loop.items():
            if name == "handler":
                loop.set_exception_handler(one)
            elif name == "task factory":
                loop.set_task_factory(one)
            else:
                setattr(loop, name.removeprefix(_GIVEN), one)


_GIVEN = "attribute "
"""How the names of what was given to the loop begin."""


def _running() -> Any:
    """Return the loop that runs this thread; None where there is none."""
    events: Any = sys.modules.get("asyncio.events")
    return events._get_running_loop() if events is not None else None


def _handler() -> Any:
    """Return the exception handler of the loop that runs this thread; None where there is none."""
    return getattr(_running(), "_exception_handler", None)


def _task_factory() -> Any:
    """Return what makes the tasks of the loop that runs this thread; None where the loop itself does."""
    return getattr(_running(), "_task_factory", None)


def _given_to(loop: Any) -> dict[str, Any]:
    """Return the attributes of a loop that none of the methods of asyncio's own names."""
    attributes: dict[str, Any] = getattr(loop, "__dict__", {})
    kind: Any = type(loop)
    return {name: attributes[name] for name in attributes.keys() - _named_by_asyncio(kind)}


@cache
def _named_by_asyncio(kind: type) -> frozenset[str]:
    inside = (one for cls in kind.__mro__ for one in vars(cls).values() if isinstance(one, FunctionType))
    return frozenset(name for one in inside if _is_of_kernel(one) for name in one.__code__.co_names)


def _is_of_kernel(value: Any) -> bool:
    package = str(getattr(value, "__module__", "")).partition(".")[0]
    return package in ("asyncio", "tornado", "builtins", "ipykernel", "IPython", "zmq")


def _policy() -> Any:
    events = sys.modules.get("asyncio.events")
    return getattr(events, "_event_loop_policy", None)


class Umask:
    """The permissions that new files do not get."""

    name = "#umask"

    def __init__(self) -> None:
        self._start = _umask()

    def fingerprint(self) -> Hashable:
        """Return the mask."""
        return _umask()

    def capture(self) -> int | None:
        """Return the mask, if it changed."""
        now = _umask()
        return None if now == self._start else now

    def restore(self, value: int, shell: Any | None) -> None:
        """Set it."""
        os.umask(value)


def _umask() -> int:
    # umask(2) returns the mask only when it sets another one; since Linux 4.7 it can be read (proc(5)).
    try:
        with open_file("/proc/self/status", "rb", buffering=0) as status:
            return int(status.read(1024).partition(b"Umask:")[2].split(None, 1)[0], 8)
    except (OSError, IndexError, ValueError):
        # Elsewhere it can only be read by setting it; a thread's file of that moment becomes private.
        mask = os.umask(0o077)
        os.umask(mask)
        return mask
