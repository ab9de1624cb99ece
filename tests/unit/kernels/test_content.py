"""What tells data of a module apart from what it was, and which values nobody can tell."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

from respawn_kernels.session_state.patching.value_marks import is_complete, mark


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, {2}]},
        {int: len, str: itertools.count, "own": mark},
        (type(iter([])), itertools),
        np.arange(3),
        [],
    ],
)
def test_data_and_code_tell_all(value: Any) -> None:
    assert is_complete(value)


@pytest.mark.parametrize(
    "value",
    [random.Random(1), itertools.count(), [iter([1])], {"rng": np.random.default_rng(1)}, [0] * 5_000],
)
def test_what_changes_unseen_and_what_is_too_much_does_not(value: Any) -> None:
    assert not is_complete(value)


def test_a_mark_differs_when_data_inside_differs() -> None:
    table: dict[type, Any] = {int: [1]}
    before = mark(table)
    table[int].append(2)
    assert mark(table) != before
