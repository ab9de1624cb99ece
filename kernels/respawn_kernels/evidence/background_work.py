"""What of a notebook lives on between its cells: threads, tasks, processes, timers, IPython's callbacks.

Each may do anything at any time. What the kernel has before the first cell, and what it starts itself later,
does not count.
"""

from __future__ import annotations

import _thread
import asyncio
import signal
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from respawn_kernels.evidence.code_owner import is_machinery
from respawn_kernels.originals import getpid

_HARMLESS_THREADS = {("tqdm._monitor", "TMonitor")}
"""Threads of libraries that only look at their own counters."""
_MAX_NAMED = 20


class BackgroundWork:
    """What is there beyond what was there when the watch began."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._threads = weakref.WeakSet(threading.enumerate())
        self._tasks = weakref.WeakSet(_tasks())
        self._processes = set(_children())
        self._timers = _timers()
        self._unnamed = _thread._count() - len(self._threads)

    def names(self, *, processes: bool) -> list[str]:
        """Return what lives on now.

        Args:
            processes: whether the notebook has started any so far; else nobody searches /proc for them.
        """
        found = [f"thread {thread.name}" for thread in threading.enumerate() if self._is_notebooks(thread)]
        if not found and _thread._count() - len(threading.enumerate()) > self._unnamed:
            found.append("thread without a name")
        found += [
            f"task {task.get_name()}"
            for task in _tasks()
            if task not in self._tasks and not _is_kernels_task(task)
        ]
        if processes or _multiprocessing():
            found += [f"process {pid}" for pid in _children() if pid not in self._processes]
        if _timers() - self._timers:
            found.append("timer")
        found += [
            f"callback {getattr(function, '__qualname__', type(function).__qualname__)}"
            for function in _callbacks(self._shell)
            if _module_of(function) == "__main__"
        ]
        return found[:_MAX_NAMED]

    def _is_notebooks(self, thread: threading.Thread) -> bool:
        if thread in self._threads or (type(thread).__module__, type(thread).__name__) in _HARMLESS_THREADS:
            return False
        target = getattr(thread, "_target", None)
        if is_machinery(type(thread).__module__) or is_machinery(_module_of(target)):
            return False
        loop = _loop_of_scripts(self._shell)
        return not (loop is not None and getattr(target, "__self__", None) is loop) and not _waits(thread)


def _loop_of_scripts(shell: Any) -> Any:
    """Return the event loop that IPython runs in a thread of its own since the first `%%bash` or its like."""
    magics = getattr(getattr(shell, "magics_manager", None), "registry", {})
    return getattr(magics.get("ScriptMagics"), "event_loop", None)


def _waits(thread: threading.Thread) -> bool:
    """Whether this is a worker of a `ThreadPoolExecutor` in which all wait for something to do."""
    arguments = getattr(thread, "_args", ())
    if _module_of(getattr(thread, "_target", None)) != "concurrent.futures.thread" or not arguments:
        return False
    try:
        pool = arguments[0]()
        return (
            pool is not None
            and pool._work_queue.empty()
            and pool._idle_semaphore._value >= len(pool._threads)
        )
    except Exception:  # noqa: BLE001  these are private: where they are otherwise, it counts as working
        return False


def _module_of(function: Any) -> str:
    function = getattr(function, "__func__", function)
    return str(getattr(function, "__module__", None) or type(function).__module__)


def _tasks() -> set[Any]:
    try:
        return set(asyncio.all_tasks())
    except RuntimeError:  # no loop runs in this thread
        return set()


def _is_kernels_task(task: Any) -> bool:
    code = getattr(task.get_coro(), "cr_frame", None)
    return code is None or is_machinery(str(code.f_globals.get("__name__", "")))


def _timers() -> set[int]:
    return {timer for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL) if signal.getitimer(timer)[0]}


def _callbacks(shell: Any) -> list[Any]:
    found = getattr(shell.events, "callbacks", {})
    return [function for functions in found.values() for function in functions]


def _multiprocessing() -> bool:
    return bool(getattr(sys.modules.get("multiprocessing.process"), "_children", None))


def _children() -> list[int]:
    """Return the processes that this one started and that still run."""
    found: list[int] = []
    for directory in Path(f"/proc/{getpid()}/task").iterdir():
        with suppress(OSError):  # the thread ended
            found += map(int, (directory / "children").read_text().split())
    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    return [pid for pid in found if pid != getattr(tracker, "_pid", None) and _runs(pid)]


def _runs(pid: int) -> bool:
    """Whether a process has not ended: one that nobody waited for is still listed."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")
