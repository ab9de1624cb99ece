"""The last error that a cell showed: `sys.last_value` and its kin, which `pdb.pm()` and `%tb` look at.

A cell tagged `raises-exception` leaves one, and the cells below it run. That of the failing cell is none of
the state before it.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from typing import Any

_VALUES = ("last_value", "last_exc")


class LastError:
    """What the interpreter keeps of the last error. Its traceback is the error's own, if that has one."""

    name = "#error"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return which error it is."""
        value = getattr(sys, "last_value", None)
        return None if value is None else (id(value), id(getattr(sys, "last_type", None)))

    def capture(self) -> dict[str, Any] | None:
        """Return the error and its type; what is not there is left out."""
        return {name: getattr(sys, name) for name in (*_VALUES, "last_type") if hasattr(sys, name)} or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them."""
        for name, one in value.items():
            setattr(sys, name, one)
        if "last_value" in value:
            sys.last_traceback = getattr(value["last_value"], "__traceback__", None)
