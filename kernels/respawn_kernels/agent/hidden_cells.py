"""Cells of ours, and cells that run again, for which no callback of the notebook is called.

A notebook that counts its cells (a callback of `pre_run_cell`, `In`, the prompt's number) must count the same
in a session that was restored as in one that ran from the top. There `%respawn rerun` is no cell, and a cell
that makes again what could not be stored was counted where it stands.

Limit: IPython transforms a cell before it calls the callbacks, so the notebook's own transformers see ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from respawn_kernels.session_state import registered_by_notebook
from respawn_kernels.session_state.patching.baseline import baseline

_OURS = re.compile(r"%(respawn|load_ext)\b")
_UNCOUNTED = re.compile(r"%respawn\s+(rerun|state|diff|checkpoint)\b")
"""Cells that take no number of a prompt. Those that bring a state back set the next number themselves."""


class Unseen:
    """Stands before the callbacks of a shell. One shell has one, see `of`."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._events = shell.events
        self._trigger = shell.events.trigger
        self.hiding = 0
        """How many callers of `begin` hide every cell now, whatever it is."""

    @classmethod
    def of(cls, shell: Any) -> Unseen:
        """Return the one of a shell, which is put there at the first call."""
        present = getattr(vars(shell.events).get("trigger"), "__self__", None)
        if isinstance(present, cls):
            return present
        made = cls(shell)
        shell.events.trigger = made.trigger
        return made

    def trigger(self, event: str, *arguments: Any, **named: Any) -> None:
        """Call the callbacks of an event, without the notebook's where it is an event of a cell of ours.

        Args:
            event: IPython's name for it, such as `pre_run_cell`.
            *arguments: of the callbacks.
            **named: of the callbacks.
        """
        lines = self._lines()
        ours = bool(lines) and all(map(_OURS.match, lines))
        if ours and all(map(_UNCOUNTED.match, lines)) and not self.hiding:
            self._leave_no_trace(event)
        if ours or self.hiding:
            with self._withheld(event):
                self._trigger(event, *arguments, **named)
        else:
            self._trigger(event, *arguments, **named)

    @contextmanager
    def _withheld(self, event: str) -> Iterator[None]:
        those = self._events.callbacks[event]
        withheld = [(place, one) for place, one in enumerate(those) if _is_notebooks(one)]
        those[:] = [one for one in those if not _is_notebooks(one)]
        try:
            yield
        finally:
            for place, one in withheld:
                those.insert(place, one)

    def _leave_no_trace(self, event: str) -> None:
        """Let the cell be no input of the session, and the next one get its number."""
        history = self._shell.history_manager
        if event == "pre_run_cell":
            history.store_inputs = lambda *_, **__: None
        elif event == "post_run_cell" and vars(history).pop("store_inputs", None) is not None:
            self._shell.execution_count -= 1

    def _lines(self) -> list[str]:
        """Return the lines of the request that is being answered; none outside a kernel."""
        parent = getattr(self._shell, "get_parent", None)
        message = parent() if parent is not None else None
        code = message.get("content", {}).get("code") if isinstance(message, dict) else None
        return [line.strip() for line in str(code or "").splitlines() if line.strip()]


def _is_notebooks(callback: Any) -> bool:
    """Return whether a callback may count cells for the notebook; those of libraries see our cells, too."""
    owner, function = getattr(callback, "__self__", None), getattr(callback, "__func__", callback)
    of_library = (
        type(function) is FunctionType
        and "__main__" not in (function.__module__, type(owner).__module__)
        and not baseline.is_local(function.__module__ or "")
    )
    return registered_by_notebook(callback) and not of_library


@contextmanager
def unseen(shell: Any) -> Iterator[None]:
    """Call no callback of the notebook for cells in this context."""
    begin(shell)
    try:
        yield
    finally:
        end(shell)


def begin(shell: Any) -> None:
    """Call no callback of the notebook for cells from now on, until `end`."""
    Unseen.of(shell).hiding += 1


def end(shell: Any) -> None:
    """Call them again, as before `begin`."""
    Unseen.of(shell).hiding -= 1
