"""Which names of a kernel's namespace are the user's.

IPython keeps its own names beside the user's: history, the last results, the prompt's helpers. They belong to
a session, not to a notebook's state. A name of IPython's that the user binds (`exit = 5`) is the user's.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any

from respawn_kernels.session_start import at_session_start

_PYTHON_OWN = {
    *("__builtins__", "__builtin__", "__cached__", "__annotations__", "__annotate__"),
    *("__conditional_annotations__", "__warningregistry__", "__session__"),
}
_OF_MODULES = {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__", "__path__"}
"""What every module has or may have; a notebook's begins with nothing but a name and a text."""
_SHELLS_TEXT = "Automatically created module for IPython"
_SHELL_OWN = {"In", "Out", "_ih", "_oh", "_dh", "_sh", "_i", "_ii", "_iii", "get_ipython"}
_HISTORY = re.compile(r"_i?\d+")
_LAST_RESULTS = ("_", "__", "___")
_hidden_before: set[str] = set()
"""Names that IPython hides from the beginning; what a cell pushes as hidden is the user's."""


def user_names(namespace: dict[str, Any]) -> list[str]:
    """Return the names in `namespace` that a snapshot keeps, in the order they were made."""
    shell = live_shell()
    ours = shell is not None and shell.user_ns is namespace
    hidden: dict[str, Any] = shell.user_ns_hidden if shell is not None and ours else {}
    display = shell.displayhook if shell is not None and ours else None
    return [
        name
        for name, value in list(namespace.items())
        if isinstance(name, str)
        and name not in _PYTHON_OWN
        and name not in _SHELL_OWN
        and not (name in _OF_MODULES and (not ours or _is_as_made(name, value)))
        and not (_HISTORY.fullmatch(name) and (not ours or _is_history(shell, name, value)))
        and not (name in hidden and hidden[name] is value and (not _hidden_before or name in _hidden_before))
        and not (name in _LAST_RESULTS and _is_last_result(display, name, value))
    ]


def put_in_order(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Put names that a namespace has into an order, in place; those that it got since come after them.

    Whoever lists `globals()` sees the order, and a checkpoint keeps it.

    Args:
        namespace: the live namespace.
        names: the user's names in the order wanted; those that the namespace does not have are passed over.
    """
    ordered = dict.fromkeys(name for name in names if name in namespace)
    ordered |= dict.fromkeys(name for name in user_names(namespace) if name not in ordered)
    if [name for name in namespace if name in ordered] == list(ordered):
        return
    # Race: a thread of the notebook that ran between `pop` and the assignment would miss the name.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        for name in ordered:
            namespace[name] = namespace.pop(name)
    finally:
        sys.setswitchinterval(interval)


def live_shell() -> Any | None:
    """Return the IPython shell of this process, or None outside one; imports nothing."""
    core = sys.modules.get("IPython.core.getipython")
    return core.get_ipython() if core is not None else None


def _is_history(shell: Any, name: str, value: Any) -> bool:
    """Whether `_5` or `_i5` is what the prompt put there, and not the user's `_2020 = table`."""
    number = int(name.lstrip("_i"))
    if name.startswith("_i") and type(value) is not str:
        return False
    return number < len(shell.history_manager.input_hist_raw)


def _is_as_made(name: str, value: Any) -> bool:
    """Whether a name that modules have is as IPython or Python made it, and not the user's."""
    if name == "__name__":
        return value == "__main__" if type(value) is str else False
    return value is None or (name == "__doc__" and type(value) is str and value.startswith(_SHELLS_TEXT))


def _is_last_result(display: Any, name: str, value: Any) -> bool:
    """Whether `_` and its kin are what the prompt put there, not what `for _ in …` or gettext did."""
    return value == "" if type(value) is str else getattr(display, name, None) is value


@at_session_start
def _note_hidden_names() -> None:
    _hidden_before.clear()
    _hidden_before.update(getattr(live_shell(), "user_ns_hidden", ()))
