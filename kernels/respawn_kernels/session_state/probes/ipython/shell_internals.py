"""What the shell keeps from cell to cell besides variables: how it compiles, and where `%popd` leads."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from respawn_kernels.namespace import live_shell
from respawn_kernels.session_state.probe.interface import Lost, Parts


class KeptByShell:
    """Features of `__future__`, which hold for all later cells, the stack of `%pushd`, names in `Out`, modes.

    A mode is what `%doctest_mode` notes to be able to switch itself off.

    A log of the session (`%logstart`) is named and not gone on with: its file has the failed cell in it.
    """

    name = "#shell"
    before_fork = False

    def __init__(self) -> None:
        self._flags = _flags(live_shell())

    def fingerprint(self) -> Hashable:
        """Return them as they are."""
        shell = live_shell()
        stack = tuple(getattr(shell, "dir_stack", ()))
        return _flags(shell), stack, _log(shell), (*_named_results(shell),), repr(_modes(shell))

    def capture(self) -> Parts | None:
        """Return what is not as at the beginning; a log that is written is lost."""
        flags, stack = _flags(live_shell()), list(getattr(live_shell(), "dir_stack", ()))
        found = Parts() if flags == self._flags else Parts(flags=flags)
        if stack:
            found["stack"] = stack
        found |= {f"{_OUT}{key}": one for key, one in _named_results(live_shell()).items()}
        if modes := _modes(live_shell()):
            found["modes"] = modes
        if log := _log(live_shell()):
            found["log"] = Lost(f"cells were logged to {log}; start the log again where it is needed", "log")
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set it."""
        if shell is not None:
            shell.compile.flags = value.get("flags", shell.compile.flags)
            shell.dir_stack[:] = value.get("stack", [])
            shell.meta.update({name: type(shell.meta)(mode) for name, mode in value.get("modes", {}).items()})
            results = {key.removeprefix(_OUT): one for key, one in value.items() if key.startswith(_OUT)}
            shell.user_ns.get("_oh", {}).update(results)


_OUT = "out:"
_PLAIN = (bool, int, float, str, type(None))


def _modes(shell: Any) -> dict[str, dict[str, Any]]:
    """Return what magics noted in the shell (`shell.meta`), as far as it is plain."""
    held: Any = getattr(shell, "meta", None) or {}
    modes = {name: dict(mode) for name, mode in held.items() if type(mode) is type(held)}
    return {name: mode for name, mode in modes.items() if all(map(_is_plain, mode.values()))}


def _is_plain(value: Any) -> bool:
    return type(value) in _PLAIN or (type(value) is list and all(type(one) in _PLAIN for one in value))


def _named_results(shell: Any) -> dict[str, Any]:
    """Return what the notebook put into `Out` under names; what has a number is a result."""
    results = getattr(shell, "user_ns", {}).get("_oh") or {}
    return {key: one for key, one in results.items() if type(key) is str}


def _log(shell: Any) -> str:
    """Return the file to which `%logstart` has cells written; nothing where none is."""
    logger: Any = getattr(shell, "logger", None)
    return str(logger.logfname) if getattr(logger, "log_active", False) else ""


def _flags(shell: Any) -> int:
    """Return the flags with which cells are compiled (`codeop.Compile`)."""
    return int(getattr(getattr(shell, "compile", None), "flags", 0))
