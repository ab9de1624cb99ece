"""Adapters and converters of `sqlite3`, which hold for all its connections."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Hashable, Iterator
from typing import Any

from respawn_kernels.session_state.probe.interface import Parts

_OWN = "sqlite3"


class Sqlite:
    """What `register_adapter` and `register_converter` were given."""

    name = "#sqlite3"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return which functions they are, by class or name."""
        return tuple((id(key), id(function)) for _, key, function in _found())

    def capture(self) -> Parts | None:
        """Return those that are not the module's own."""
        return Parts({f"{what} {place}": one for place, (what, *one) in enumerate(_found())}) or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Register them."""
        module = importlib.import_module(_OWN)
        for name, (key, function) in value.items():
            register = module.register_adapter if name.startswith("adapter") else module.register_converter
            register(key, function)


def _found() -> Iterator[tuple[str, Any, Any]]:
    module = sys.modules.get(_OWN)
    if module is None:
        return
    for (kind, _), function in list(module.adapters.items()):
        if not _is_own(function):
            yield "adapter", kind, function
    for name, function in list(module.converters.items()):
        if not _is_own(function):
            yield "converter", name, function


def _is_own(function: Any) -> bool:
    return str(getattr(function, "__module__", None)).partition(".")[0] == _OWN
