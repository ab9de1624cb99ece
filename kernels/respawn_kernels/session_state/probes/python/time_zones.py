"""Where `zoneinfo` looks for time zones: `zoneinfo.reset_tzpath(to=[…])`."""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from collections.abc import Hashable
from typing import Any


class ZonePath:
    """The path of time zones. Zones among the variables are looked up by it when they are loaded."""

    name = "#zoneinfo"
    first = True
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return the path where it is not the usual one."""
        return self.capture()

    def capture(self) -> tuple[str, ...] | None:
        """Return the path where it is not the usual one."""
        now = getattr(sys.modules.get("zoneinfo._tzpath"), "TZPATH", None)
        return None if now is None or now == _usual() else tuple(now)

    def restore(self, value: tuple[str, ...], shell: Any | None) -> None:
        """Set it."""
        importlib.import_module("zoneinfo").reset_tzpath(to=value)


def _usual() -> tuple[str, ...]:
    """Return the path that `zoneinfo` uses by default (PEP 615): absolute directories only."""
    text = os.environ.get("PYTHONTZPATH")
    if text is None:
        text = sysconfig.get_config_var("TZPATH") or ""
    return tuple(filter(os.path.isabs, text.split(os.pathsep)))
