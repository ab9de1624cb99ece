"""What the shell keeps from cell to cell besides variables: how it compiles, and where `%popd` leads."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from respawn_kernels.namespace import live_shell


class KeptByShell:
    """Features of `__future__`, which hold for all later cells, and the stack of `%pushd`."""

    name = "#shell"
    before_fork = False

    def __init__(self) -> None:
        self._flags = _flags(live_shell())

    def fingerprint(self) -> Hashable:
        """Return them as they are."""
        shell = live_shell()
        return _flags(shell), tuple(getattr(shell, "dir_stack", ()))

    def capture(self) -> dict[str, Any] | None:
        """Return what is not as at the beginning."""
        flags, stack = _flags(live_shell()), list(getattr(live_shell(), "dir_stack", ()))
        found: dict[str, Any] = {} if flags == self._flags else {"flags": flags}
        return (found | {"stack": stack} if stack else found) or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set it."""
        if shell is not None:
            shell.compile.flags = value.get("flags", shell.compile.flags)
            shell.dir_stack[:] = value.get("stack", [])


def _flags(shell: Any) -> int:
    """Return the flags with which cells are compiled (`codeop.Compile`)."""
    return int(getattr(getattr(shell, "compile", None), "flags", 0))
