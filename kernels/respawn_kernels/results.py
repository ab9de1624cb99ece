"""Results of prompts (`Out[5]`, `_5`): values of a checkpoint whose names are `#out:5`."""

from __future__ import annotations

from typing import Any

from respawn_kernels.names import live_shell

_OUT = "#out:"


def results() -> dict[str, Any]:
    """Return the results of this session, by the names that a checkpoint has for them."""
    shell = live_shell()
    found = dict(shell.user_ns.get("_oh") or {}) if shell is not None else {}
    return {f"{_OUT}{number}": value for number, value in found.items() if type(number) is int}


def is_result(key: str) -> bool:
    """Tell whether a name of a checkpoint is that of a result."""
    return key.startswith(_OUT) and key.removeprefix(_OUT).isdecimal()


def session_name(key: str) -> str:
    """Return the name that a session has for a result: `_5`."""
    return f"_{key.removeprefix(_OUT)}"


def set_result(key: str, value: Any, shell: Any | None) -> None:
    """Make a value the result of a prompt: `Out[5]` and `_5`."""
    if shell is not None:
        shell.user_ns.get("_oh", {}).setdefault(int(key.removeprefix(_OUT)), value)
        shell.user_ns.setdefault(session_name(key), value)
