"""The filters of `warnings`, in their order."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable
from typing import Any

_filters_before = list(warnings.filters)


class WarningFilters:
    """The filters, categories of libraries by name: loading them must not import the library."""

    name = "#warnings"

    def fingerprint(self) -> Hashable:
        """Return what the filters are."""
        return hash(tuple(map(tuple, warnings.filters)))

    def capture(self) -> list[Any] | None:
        """Return the filters, unless they are as at the beginning."""
        if warnings.filters == _filters_before:
            return None
        return [
            (action, text, _named(category), *place) for action, text, category, *place in warnings.filters
        ]

    def restore(self, value: list[Any], shell: Any | None) -> None:
        """Set filters, but those for categories of libraries that are not loaded: these bring their own."""
        found = [(action, text, _category(named), *place) for action, text, named, *place in value]
        warnings.filters[:] = [one for one in found if one[2] is not None]  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]


def _named(category: Any) -> Any:
    return category if category.__module__ == "__main__" else (category.__module__, category.__qualname__)


def _category(named: Any) -> type | None:
    if isinstance(named, type):
        return named
    found = getattr(sys.modules.get(named[0]), named[1], None)
    return found if isinstance(found, type) else None
