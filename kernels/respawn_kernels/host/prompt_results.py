"""Results of prompts (`Out[5]`, `_5`): values of a checkpoint whose names are `#out:5`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from respawn_kernels.namespace import live_shell

_OUT = "#out:"
LAST = ("_", "__", "___")
"""The last three results."""


def results() -> dict[str, Any]:
    """Return the results of this session, by the names that a checkpoint has for them."""
    shell = live_shell()
    found = dict(shell.user_ns.get("_oh") or {}) if shell is not None else {}
    return {f"{_OUT}{number}": value for number, value in found.items() if type(number) is int}


def is_result(key: str) -> bool:
    """Return whether a name of a checkpoint is that of a result."""
    return key.startswith(_OUT) and key.removeprefix(_OUT).isdecimal()


def session_name(key: str) -> str:
    """Return the name that a session has for a result: `_5`."""
    return f"_{key.removeprefix(_OUT)}"


def set_result(key: str, value: Any, shell: Any | None) -> None:
    """Make a value the result of a prompt, `Out[5]` and `_5`, where the session has none of that number.

    Args:
        key: its name in a checkpoint, `#out:5`.
        value: the result.
        shell: the IPython shell; None outside one, and then nothing is done.
    """
    if shell is not None:
        shell.user_ns.get("_oh", {}).setdefault(int(key.removeprefix(_OUT)), value)
        shell.user_ns.setdefault(session_name(key), value)


class Results:
    """The results that a shell has, to be put back after cells ran that leave none of theirs."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._numbered = dict(shell.user_ns.get("_oh") or {})
        self._last = {name: getattr(shell.displayhook, name, "") for name in LAST}

    def put_back(self, restored: Collection[str]) -> None:
        """Make these the results of the shell again, but for those that are going to be restored.

        Args:
            restored: names of results in a checkpoint, such as `#out:5`.
        """
        namespace = self._shell.user_ns
        now = namespace.get("_oh")
        if not isinstance(now, dict):
            return
        again = {int(key.removeprefix(_OUT)) for key in restored}
        for number, value in list(now.items()):
            if number in again or number not in self._numbered:
                del now[number]
                if namespace.get(f"_{number}") is value:
                    del namespace[f"_{number}"]
            else:
                now[number] = self._numbered[number]
        for name, value in self._last.items():
            if namespace.get(name) is getattr(self._shell.displayhook, name, ""):
                namespace[name] = value
            setattr(self._shell.displayhook, name, value)
