"""Which variables the cells since a boundary could have touched.

A cell can reach a variable by a name in its code, through a function or object that it reaches, or through
code that cannot be foreseen (`exec`, `globals()`, a thread, a callback). Names are taken from the syntax
tree, with the words in its strings, since `df.query("@x > 1")` looks them up. For the rest everything counts
as touched. Where a name leads is known from its group: the objects that it shares, and the global names that
the functions among them read.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import re
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from respawn_kernels.cell_code.syntax import tree_of

_WORD = re.compile(r"[^\W\d]\w*")
_OPAQUE = {
    *("exec", "eval", "compile", "globals", "locals", "vars", "__import__", "get_ipython", "breakpoint"),
    *("__main__", "__dict__", "__globals__", "__builtins__", "f_globals", "f_locals", "user_ns", "modules"),
    *("gc", "ctypes", "inspect", "_getframe", "currentframe", "run_cell", "importlib", "__closure__"),
}
"""Names and attributes through which code reaches variables that it does not name."""
_SHELLS = ("IPython", "ipykernel")
"""Their threads, like the one that saves the history, run no code of the notebook, but for subshells."""


class WriteSet:
    """A log of what cells touched, boundary by boundary."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        """Begin with a namespace; threads that run now are the kernel's own."""
        self._namespace = namespace
        self._own_threads = set(threading.enumerate())
        self._log: list[tuple[int, set[str] | None]] = []
        self._now: set[str] | None = set()

    def note(self, source: str) -> None:
        """Note the code of a cell that starts now, as Python."""
        names = write_set_of(source)
        self._now = None if self._now is None or names is None else self._now | names

    def everything(self) -> None:
        """Note that anything may have been touched."""
        self._now = None

    def mark(self, cell: int) -> None:
        """Note that the boundary after `cell` is reached: what follows belongs to the cells after it."""
        background = _runs_by_itself(self._namespace, self._own_threads)
        self._log.append((cell, None if background else self._now))
        self._now = None if background else set()

    def since(self, cell: int) -> set[str] | None:
        """Return the names touched after the boundary of `cell`; None when everything may have been."""
        places = [place for place, (boundary, _) in enumerate(self._log) if boundary == cell]
        if not places:
            return None
        names: set[str] = set()
        for _, written in [*self._log[places[-1] + 1 :], (cell, self._now)]:
            if written is None:
                return None
            names |= written
        return names


def write_set_of(source: str) -> set[str] | None:
    """Return the names that code reads, binds or deletes anywhere in it; None when it could reach any."""
    tree = tree_of(source)
    if tree is None:
        return None
    names: set[str] = set()
    for node in ast.walk(tree):
        for word in _words(node):
            if word in _OPAQUE:
                return None
            names.add(word)
    return names


def _words(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
        case ast.Constant(value=str(text)):
            yield from _WORD.findall(text)
        case ast.Constant(value=bytes(data)):
            yield from _WORD.findall(data.decode("utf-8", "replace"))
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.alias(name=name, asname=other):
            yield from name.split(".")
            if other:
                yield other


def _runs_by_itself(namespace: dict[str, Any], own_threads: set[threading.Thread]) -> bool:
    """Return whether code of the notebook may run while no cell does: threads, tasks, callbacks, tracing."""
    started = [thread for thread in threading.enumerate() if thread not in own_threads and thread.is_alive()]
    if any(_may_run_notebook(thread) for thread in started):
        return True
    callbacks: list[Any] = [*gc.callbacks, sys.gettrace(), sys.getprofile()]
    callbacks += [signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2)]
    shell = _shell()
    if shell is not None:
        callbacks += [one for several in shell.events.callbacks.values() for one in several]
    return any(_of_notebook(one, namespace) for one in callbacks) or _has_tasks(namespace)


def _may_run_notebook(thread: threading.Thread) -> bool:
    kind = type(thread)
    return kind.__module__.partition(".")[0] not in _SHELLS or "Subshell" in kind.__name__


def _has_tasks(namespace: dict[str, Any]) -> bool:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    for task in asyncio.all_tasks(loop):
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and frame.f_globals is namespace and task is not asyncio.current_task(loop):
            return True
    scheduled = [*getattr(loop, "_scheduled", ()), *getattr(loop, "_ready", ())]
    return any(_of_notebook(getattr(handle, "_callback", None), namespace) for handle in scheduled)


def _of_notebook(callback: Any, namespace: dict[str, Any]) -> bool:
    function = getattr(callback, "__func__", callback)
    return getattr(function, "__globals__", None) is namespace


def _shell() -> Any:
    from respawn_kernels.namespace import live_shell

    return live_shell()
