"""What the notebook hung on its shell as attributes: `get_ipython().settings = {...}`."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from types import CodeType, FunctionType
from typing import Any

from respawn_kernels.namespace import live_shell
from respawn_kernels.session_state.probe.interface import Parts

_PLAIN = (type(None), bool, int, float, complex, str, bytes, list, dict, set, tuple, frozenset)


class ShellAttributes:
    """Attributes of the shell that were not there at the beginning, and that its own code does not set.

    Extensions of IPython hang their own objects there; they come again with the extension.
    """

    name = "#attributes"
    before_fork = False

    def __init__(self) -> None:
        self._shell: Any = None
        self._known: set[str] = set()
        self._note(live_shell())

    def _note(self, shell: Any | None) -> None:
        """Take what a shell has for its own, the first time that there is one."""
        if shell is not None and shell is not self._shell:
            self._shell = shell
            self._known = {*vars(shell), *_names_in(type(shell))}

    def fingerprint(self) -> Hashable:
        """Return which ones there are."""
        return tuple((name, id(value)) for name, value in self._given())

    def capture(self) -> Parts | None:
        """Return them by name."""
        return Parts(self._given()) or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them."""
        if shell is not None:
            for name, one in value.items():
                setattr(shell, name, one)

    def _given(self) -> Iterator[tuple[str, Any]]:
        shell = live_shell()
        self._note(shell)
        for name, value in list(vars(shell).items()) if shell is not None else ():
            if name in self._known:
                continue
            if _is_own(value) or (type(value) in _PLAIN and not name.startswith("_")):
                yield name, value


def _is_own(value: Any) -> bool:
    """Return whether a value is a function, a class or an instance of the notebook."""
    return "__main__" in (getattr(value, "__module__", None), type(value).__module__)


def _names_in(kind: type) -> frozenset[str]:
    """Return the names that the functions of a class and its bases use."""
    values = (one for cls in kind.__mro__ for one in vars(cls).values())
    return frozenset(name for one in values if type(one) is FunctionType for name in _names(one.__code__))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for one in code.co_consts:
        if type(one) is CodeType:
            yield from _names(one)
