"""How objects that stand for a part of the session are taken apart: generators, handlers, context variables.

An object that each session has once is stored as a reference, which the session that loads it resolves: a
copy of the generator behind `random.random` would draw numbers of its own.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import contextvars
import importlib
import itertools
import logging
import os
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import BuiltinMethodType, MethodType, ModuleType
from typing import Any

from respawn_kernels.host.standard_streams import name_of
from respawn_kernels.namespace import live_shell
from respawn_kernels.originals import kernel_pid
from respawn_kernels.pickling.namespace_pickler import PROTOCOL, NamespacePickler, Reducer
from respawn_kernels.pickling.replaced_functions import make_original, reduce_replaced
from respawn_kernels.rebuild import stable_name
from respawn_kernels.reducers import session_parts
from respawn_kernels.session_state.patching import baseline

_GENERATORS = (("random", "_inst"), ("numpy.random.mtrand", "_rand"), ("torch", "default_generator"))


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for what is loaded in this process."""
    found: dict[type, Reducer] = {**session_parts.reducers(), MethodType: _method}
    found[BuiltinMethodType] = _method
    found[contextvars.ContextVar] = _context_variable
    for generator in global_generators():
        found[type(generator)] = _generator
    figure = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
    if figure is not None:
        found |= dict.fromkeys((figure, *figure.__subclasses__()), _figure)
        found[sys.modules["matplotlib.cbook"].CallbackRegistry] = _callbacks
    if (subprocess := sys.modules.get("subprocess")) is not None:
        found[subprocess.Popen] = _child
    if (handle := getattr(sys.modules.get("psutil"), "Process", None)) is not None:
        found[handle] = _process_handle
    for root, reducer in ((logging.Handler, _handler), (logging.Logger, _logger)):
        waiting: list[type] = [root]
        while waiting:
            cls = waiting.pop()
            if cls not in found:
                found[cls] = reducer
                waiting += cls.__subclasses__()
    return found


def _child(process: Any, _pickler: NamespacePickler) -> Any:
    """Refuse a child process that runs: in another process nobody could wait for it."""
    if process.returncode is None:
        raise pickle.PicklingError("a child process that was running")
    return NotImplemented


def _process_handle(process: Any, _pickler: NamespacePickler) -> Any:
    """Reduce psutil's handle of the kernel to one of the kernel that loads it; refuse those of others.

    The system gives the number of a process that has ended to another one.
    """
    if process.pid == kernel_pid():
        return make_own_process, ()
    raise pickle.PicklingError(f"a handle of process {process.pid}, a number that others are given later")


@stable_name
def make_own_process() -> Any:
    """Return psutil's handle of this kernel, which may have ended when its checkpoint is checked."""
    # psutil's constructor would raise NoSuchProcess then.
    handle: Any = importlib.import_module("psutil").Process
    process = handle.__new__(handle)
    process._init(kernel_pid(), _ignore_nsp=True)
    return process


def global_generators() -> Iterator[Any]:
    """Return the generators behind the functions of `random`, `numpy.random` and torch."""
    for module, name in _GENERATORS:
        generator = getattr(sys.modules.get(module), name, None)
        if generator is not None:
            yield generator


def sessions_own() -> Iterator[Any]:
    """Return the objects that are stored as references to whatever the session has in their place."""
    yield from global_generators()
    yield live_shell()
    yield from session_parts.parts()
    # One that the notebook put in their place is an object like any other.
    yield from (one for one in (sys.stdout, sys.stderr, sys.stdin) if name_of(one) is not None)


def _generator(generator: Any, _pickler: NamespacePickler) -> Any:
    """Reduce the global generator to a reference, for it is the session's, and others as they do it."""
    for module, name in _GENERATORS:
        if generator is getattr(sys.modules.get(module), name, None):
            return getattr, (sys.modules[module], name)
    return NotImplemented


def _method(method: Any, _pickler: NamespacePickler) -> Any:
    """Reduce what a module offers as a function and is a method: `random.shuffle`, `numpy.random.rand`."""
    owner = method.__self__
    if owner is None or isinstance(owner, ModuleType):
        return reduce_replaced(method)
    module = sys.modules.get(type(owner).__module__)
    name = getattr(method, "__name__", "")
    if module is not None and module.__name__ != "__main__" and vars(module).get(name) is method:
        return getattr, (module, name)
    if module is not None and baseline.of_import(module.__name__, name) is method:
        return make_original, (module.__name__, name)
    return NotImplemented


def _context_variable(variable: contextvars.ContextVar[Any], _pickler: NamespacePickler) -> Any:
    for name, module in list(sys.modules.items()):
        if "__main__" in (name, getattr(module, "__name__", "__main__")):
            continue
        if vars(module).get(variable.name) is variable:
            return getattr, (module, variable.name)
    default: tuple[Any, ...] = ()
    with suppress(LookupError):
        default = (contextvars.Context().run(variable.get),)
    made = make_context_variable, (variable.name, *default)
    here = contextvars.copy_context()
    # The value of one that is a variable is a part of the session, which is restored by itself.
    names = getattr(live_shell(), "user_ns", {})
    if variable not in here or any(one is variable for one in list(names.values())):
        return made
    return *made, (here[variable],), None, None, fill_context_variable


@stable_name
def make_context_variable(name: str, *default: Any) -> Any:
    """Return a context variable, with its default if it has one."""
    return contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)


@stable_name
def fill_context_variable(variable: contextvars.ContextVar[Any], state: tuple[Any]) -> None:
    """Set the value of a context variable that lies in a class, a default or a closure."""
    variable.set(state[0])


def _figure(figure: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a figure so that loading it alone does not give it to pyplot, under another number.

    Which figures pyplot has is a part of the session's state, restored by itself.
    """
    reduced = figure.__reduce_ex__(PROTOCOL)
    if len(reduced) > 2 and isinstance(reduced[2], dict):
        reduced[2].pop("_restore_to_pylab", None)
    return reduced


def _callbacks(registry: Any, _pickler: NamespacePickler) -> Any:
    """Reduce matplotlib's registry of callbacks; asking for its state draws a number, which is put back."""
    reduced = registry.__reduce_ex__(PROTOCOL)
    if len(reduced) < 3 or not isinstance(reduced[2], dict) or "_cid_gen" not in reduced[2]:
        return reduced
    state = dict(sorted(reduced[2].items()))
    registry._cid_gen = itertools.count(state["_cid_gen"])
    return *reduced[:2], state, *reduced[3:]


def _logger(logger: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a logger that no name leads to by its attributes; its name leads to another one."""
    known = logging.root if logger is logging.root else logging.Logger.manager.loggerDict.get(logger.name)
    kind: Any = type(logger)
    if known is logger or kind.__reduce__ is not logging.Logger.__reduce__:
        return NotImplemented
    return make_handler, (kind,), vars(logger)


def _handler(handler: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a handler; one with a file opens it again, to append where it had it open."""
    kind: Any = type(handler)
    if kind.__reduce_ex__ is not object.__reduce_ex__:
        return NotImplemented
    state = dict(vars(handler))
    if "lock" in state:
        state["lock"] = None  # keeps its place among the attributes
    if isinstance(handler, logging.FileHandler):
        if kind._open is not logging.FileHandler._open:  # nobody knows how it would open the file again
            state |= {"stream": None, "mode": handler.mode.replace("w", "a")}
        elif handler.stream is not None:
            state["stream"] = _OPEN
    if "sock" in state:
        state["sock"] = None
    return make_handler, (kind,), state, None, None, fill_handler


_OPEN = "open"
"""What stands for the file that a handler writes to."""


def _open_again(handler: Any) -> None:
    """Open a handler's file as it was, with what it holds; one that is gone is made when it next writes."""
    opening = handler._builtin_open
    handler._builtin_open = partial(opening, opener=_with_its_content)
    try:
        if Path(handler.baseFilename).exists():
            handler.stream = handler._open()
            handler.stream.seek(0, os.SEEK_END)
    except OSError:  # its next record tries again, and tells
        handler.stream = None
    finally:
        handler._builtin_open = opening


def _with_its_content(path: str, flags: int) -> int:
    return os.open(path, flags & ~(os.O_TRUNC | os.O_EXCL), 0o666)


@stable_name
def make_handler(cls: Any) -> Any:
    """Return a handler or logger that is not set up; its `__init__` would open files and connections."""
    return cls.__new__(cls)


@stable_name
def fill_handler(handler: Any, state: dict[str, Any]) -> None:
    """Set the attributes of a handler, with a new lock, and register it to be flushed at exit."""
    # The stream of another handler may be any object, whose class is not asked what it equals.
    was_open = isinstance(handler, logging.FileHandler) and state.get("stream") == _OPEN
    handler.__dict__.update(state, **({"stream": None} if was_open else {}))
    if was_open:
        _open_again(handler)
    handler.createLock()  # it is also made anew in forked children, for which logging registers it
    logging._addHandlerRef(handler)  # type: ignore[attr-defined]
