"""The filters of `warnings`, in their order."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable
from typing import Any

from respawn_kernels.session_state.probe import Parts

_filters_before = list(warnings.filters)
_printer = getattr(warnings, "_showwarnmsg_impl", None)


class WarningFilters:
    """The filters, categories of libraries by name: loading them must not import the library.

    What an open `warnings.catch_warnings(record=True)` records into is kept with them.
    """

    name = "#warnings"

    def fingerprint(self) -> Hashable:
        """Return what the filters are, and who records."""
        return hash(tuple(map(tuple, warnings.filters))), id(_recorder())

    def capture(self) -> Parts | None:
        """Return the filters, unless they are as at the beginning, and who records."""
        found = Parts()
        if warnings.filters != _filters_before:
            found["filters"] = [
                (action, text, _named(category), *place)
                for action, text, category, *place in warnings.filters
            ]
        if _recorder() is not None:
            found["recorder"] = _recorder()
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set filters, but those for categories of libraries that are not loaded: these bring their own."""
        if "recorder" in value:
            warnings._showwarnmsg_impl = value["recorder"]  # type: ignore[attr-defined]
        if "filters" in value:
            found = [
                (action, text, _category(named), *place) for action, text, named, *place in value["filters"]
            ]
            warnings.filters[:] = [one for one in found if one[2] is not None]  # type: ignore[index]
            warnings._filters_mutated()  # type: ignore[attr-defined]


def _recorder() -> Any | None:
    """Return what takes warnings in place of the function that prints them."""
    found = getattr(warnings, "_showwarnmsg_impl", _printer)
    return None if found is _printer else found


def _named(category: Any) -> Any:
    return category if category.__module__ == "__main__" else (category.__module__, category.__qualname__)


def _category(named: Any) -> type | None:
    if isinstance(named, type):
        return named
    found = getattr(sys.modules.get(named[0]), named[1], None)
    return found if isinstance(found, type) else None
