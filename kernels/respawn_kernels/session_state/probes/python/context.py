"""Context variables (PEP 567) that are variables of the notebook, and what was running."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Hashable, Iterator
from typing import Any

from respawn_kernels.counting import how_many
from respawn_kernels.namespace import live_shell
from respawn_kernels.session_state.patching import baseline, mentioned_words
from respawn_kernels.session_state.probe.interface import Lost, Parts


class ContextVariables:
    """The values of context variables in the context in which cells run."""

    name = "#contextvars"

    def fingerprint(self) -> Hashable:
        """Return which values they have."""
        return tuple((name, id(value)) for name, _, value in _found())

    def capture(self) -> Parts | None:
        """Return variables and values by the names that the notebook has for the variables."""
        return Parts({name: (variable, value) for name, variable, value in _found()}) or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them."""
        for variable, one in value.values():
            variable.set(one)


def _found() -> Iterator[tuple[str, Any, Any]]:
    namespace = getattr(live_shell(), "user_ns", {})
    variables = [(n, v) for n, v in list(namespace.items()) if type(v) is contextvars.ContextVar]
    if variables:
        context = contextvars.copy_context()
        for name, variable in variables:
            if variable in context and not name.startswith("_i"):
                yield name, variable, context[variable]


class Running:
    """What the notebook has left running: threads and tasks. None of it comes back."""

    name = "#running"

    def fingerprint(self) -> Hashable:
        """Return what runs."""
        return tuple(_threads()) + tuple(_tasks())

    def capture(self) -> Parts | None:
        """Return what is lost."""
        found = Parts({name: Lost("it was running and does not come back", "thread") for name in _threads()})
        for name in _tasks():
            found[name] = Lost("it was not done and does not come back", "task")
        return found or None

    def restore(self, value: Any, shell: Any | None) -> None:
        """Do nothing: there is never a value."""


def _threads() -> list[str]:
    if threading.active_count() == 1:
        return []
    return [
        f"thread {thread.name}"
        for thread in threading.enumerate()
        if _of_notebook(getattr(thread, "_target", None) or getattr(thread, "function", None))
        or type(thread).__module__ == "__main__"
    ]


def _tasks() -> list[str]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return []
    namespace = getattr(live_shell(), "user_ns", None)
    found = []
    for task in asyncio.all_tasks(loop):
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and frame.f_globals is namespace and task is not asyncio.current_task(loop):
            found.append(f"task {task.get_name()} ({getattr(task.get_coro(), '__qualname__', '')})")
    return sorted(found)


def _of_notebook(function: Any) -> bool:
    function = getattr(function, "__func__", function)
    return getattr(function, "__module__", None) == "__main__"


class AtExit:
    """Functions that the notebook registered with `atexit`. It gives their number alone (`_ncallbacks`).

    Libraries register some, too, when they are imported and when they are used. So only those count that are
    registered while no module is imported, and only when a cell mentions `atexit`.
    """

    name = "#atexit"

    def __init__(self) -> None:
        self._others = _exits()
        self._before = 0
        baseline.listeners.append(self)

    def import_began(self) -> None:
        """Note how many there are."""
        self._before = _exits()

    def import_ended(self, *, local: bool) -> None:
        """Leave those out that an import registered."""
        self._others += _exits() - self._before

    def fingerprint(self) -> Hashable:
        """Return how many the notebook registered."""
        return self._count()

    def capture(self) -> Lost | None:
        """Return that they are lost."""
        count = self._count()
        if not count:
            return None
        number = how_many(count, "function")
        return Lost(f"{number} registered to run when the kernel ends will not run; register again", "atexit")

    def restore(self, value: Any, shell: Any | None) -> None:
        """Do nothing: there is never a value."""

    def _count(self) -> int:
        count = _exits() - self._others
        return count if count > 0 and "atexit" in mentioned_words() else 0


def _exits() -> int:
    count = getattr(sys.modules.get("atexit"), "_ncallbacks", None)
    return int(count()) if count is not None else 0


class AuditHooks:
    """Hooks that cells added by `sys.addaudithook`, and their tools of `sys.monitoring`. None comes back.

    Audit hooks can be neither listed nor removed (PEP 578); tools are those of PEP 669.
    """

    name = "#audit"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return whether a cell adds a hook, and which tools there are."""
        return "addaudithook" in mentioned_words(), tuple(_tools())

    def capture(self) -> Parts | None:
        """Return that they are lost."""
        found = Parts({f"tool {n}": Lost(f"the tool {name} is not there", "tool") for n, name in _tools()})
        if "addaudithook" in mentioned_words():
            found["hook"] = Lost("a hook that a cell added is not there; add it again", "hook")
        return found or None

    def restore(self, value: Any, shell: Any | None) -> None:
        """Do nothing: there is never a value."""


def _tools() -> list[tuple[int, str]]:
    """Return the notebook's tools: those with numbers that nobody has for good, but for Respawn's own."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None or "monitoring" not in mentioned_words():
        return []
    names = ((number, monitoring.get_tool(number)) for number in (3, 4, 5))
    return [(number, name) for number, name in names if name not in (None, "respawn")]
