"""The options of pandas."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Hashable
from typing import Any


class PandasOptions:
    """The options that differ from their defaults."""

    name = "#pandas"

    def fingerprint(self) -> Hashable:
        """Return what differs."""
        return repr(_changed())

    def capture(self) -> dict[str, Any] | None:
        """Return what differs."""
        return _changed() or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set the options."""
        pandas = importlib.import_module("pandas")
        for key, one in value.items():
            pandas.set_option(key, one)


def _changed() -> dict[str, Any]:
    config = sys.modules.get("pandas._config.config")
    if config is None:
        return {}
    told = {
        key: (config.get_option(key), option.defval)
        for key, option in config._registered_options.items()
        if key not in config._deprecated_options
    }
    return {key: value for key, (value, default) in told.items() if value != default}
