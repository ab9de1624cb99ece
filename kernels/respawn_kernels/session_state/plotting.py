"""The settings of matplotlib."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Hashable
from typing import Any

_NOT_RESTORED = {"backend", "backend_fallback", "interactive", "toolbar", "webagg.port"}
"""Settings that belong to a session's front end."""


class MatplotlibSettings:
    """The settings (`rcParams`) that differ from their defaults."""

    name = "#matplotlib"

    def fingerprint(self) -> Hashable:
        """Return what differs."""
        return repr(_changed())

    def capture(self) -> dict[str, Any] | None:
        """Return what differs."""
        return _changed() or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set those that this version of matplotlib has."""
        params = importlib.import_module("matplotlib").rcParams
        for key, one in value.items():
            if key in params:
                params[key] = one


def _changed() -> dict[str, Any]:
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is None or not hasattr(matplotlib, "rcParams"):
        return {}
    default = matplotlib.rcParamsDefault
    return {
        key: value
        for key, value in dict.items(matplotlib.rcParams)
        if key not in _NOT_RESTORED and value != dict.get(default, key)
    }
