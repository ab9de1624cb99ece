"""Which cases of a test `make test` tries: it leaves the others to `make test-long` or `make test-all`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Literal

import pytest


def quick(
    places: Collection[int], cases: Iterable[Any], others: Literal["long", "slow"] = "slow"
) -> list[Any]:
    """Return the cases of `parametrize`, of which all but those at `places`, from 0 on, carry a marker."""
    found = list(cases)
    assert set(places) <= set(range(len(found))), "a place without a case"
    return [case if place in places else _marked(case, others) for place, case in enumerate(found)]


def _marked(case: Any, marker: str) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=getattr(pytest.mark, marker))
