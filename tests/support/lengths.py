"""Which cases of a test a quick run tries: `make test` leaves the others to `make test-all`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def quick(places: Collection[int], cases: Iterable[Any]) -> list[Any]:
    """Return the cases of `parametrize`, of which all are slow but those at `places`, counted from 0."""
    found = list(cases)
    assert set(places) <= set(range(len(found))), "a place without a case"
    return [case if place in places else _slow(case) for place, case in enumerate(found)]


def _slow(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)
