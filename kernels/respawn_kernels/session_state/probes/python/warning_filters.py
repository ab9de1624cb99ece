"""The filters of `warnings`, in their order."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable
from typing import Any

from respawn_kernels.session_start import at_session_start
from respawn_kernels.session_state.probe.interface import Parts

_filters_before: list[Any] = []
_printer = getattr(warnings, "_showwarnmsg_impl", None)


@at_session_start
def _note_filters() -> None:
    _filters_before[:] = warnings.filters


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
                (action, text, named_category(category), *place)
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
                (action, text, category_of(named), *place) for action, text, named, *place in value["filters"]
            ]
            warnings.filters[:] = [one for one in found if one[2] is not None]  # type: ignore[index]
            warnings._filters_mutated()  # type: ignore[attr-defined]


def _recorder() -> Any | None:
    """Return what collects warnings in place of the function that prints them; None when nothing does."""
    found = getattr(warnings, "_showwarnmsg_impl", _printer)
    return None if found is _printer else found


def named_category(category: Any) -> Any:
    """Return a category of the notebook itself, and of any other its module and name."""
    return category if category.__module__ == "__main__" else (category.__module__, category.__qualname__)


def category_of(named: Any) -> type | None:
    """Return the category that `named_category` was given, or None where its module is not loaded."""
    if isinstance(named, type):
        return named
    found = getattr(sys.modules.get(named[0]), named[1], None)
    return found if isinstance(found, type) else None
