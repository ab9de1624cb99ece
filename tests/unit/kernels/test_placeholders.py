"""A name that could not be stored explains itself whenever it is used."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pytest

from respawn_kernels.checkpoint.manifest import UnstoredVariable
from respawn_kernels.checkpoint.placeholder import NotRestored, Placeholder, placeholders, unstored_of

ROWS = UnstoredVariable("rows", "generator", "cannot pickle 'generator' object", 3)


@pytest.fixture
def rows() -> Placeholder:
    return placeholders([ROWS])["rows"]


async def _enter(value: Any) -> None:
    async with value:
        pass


def _with(value: Any) -> None:
    with value:
        pass


def _set(value: Any) -> None:
    value[0] = 1


def _set_attribute(value: Any) -> None:
    value.field = 1


USES: dict[str, Callable[[Any], Any]] = {
    "attribute": lambda v: v.read,
    "set attribute": _set_attribute,
    "call": lambda v: v(),
    "iterate": list,
    "next": next,
    "index": lambda v: v[0],
    "set item": _set,
    "length": len,
    "truth": bool,
    "membership": lambda v: 1 in v,
    "add": lambda v: v + 1,
    "added to": lambda v: 1 + v,
    "matrix product": lambda v: np.ones(2) @ v,
    "array": np.asarray,
    "array function": lambda v: np.add(v, 1),
    "equal": lambda v: v == 1,
    "less": lambda v: v < 1,
    "negative": lambda v: -v,
    "hash": hash,
    "text": str,
    "format": lambda v: f"{v}",
    "format with a width": lambda v: f"{v:>10}",
    "with": _with,
    "async with": lambda v: _enter(v).send(None),
    "int": int,
    "dir": dir,
    "sum": sum,
    "open": open,
    "unpack": lambda v: (lambda *a: a)(*v),
    "unpack named": lambda v: (lambda **a: a)(**v),
    "pickle": pickle.dumps,
    "cloudpickle": cloudpickle.dumps,
    "copy": copy.copy,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_each_use_names_the_variable_the_reason_the_cell_and_the_fix(
    rows: Placeholder, use: Callable[[Any], Any]
) -> None:
    with pytest.raises(NotRestored) as stopped:
        use(rows)
    text = str(stopped.value)
    for words in (
        "rows (generator)",
        "cannot pickle 'generator' object",
        "run cell 3 again",
        "respawn:always",
    ):
        assert words in text


def test_showing_it_tells_the_same_and_raises_nothing(rows: Placeholder) -> None:
    assert "rows (generator) was not restored" in repr(rows)
    assert repr([rows])
    assert isinstance(rows, Placeholder)


def test_later_checkpoints_can_go_on_listing_it(rows: Placeholder) -> None:
    assert unstored_of(rows) == ROWS


def test_variable_whose_cell_is_not_known_has_a_fix_too() -> None:
    assert "Make it again" in repr(Placeholder("lock", "_thread.lock", "a lock", None))


def test_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(NotRestored("rows", "generator", "why", 3)))
    assert (error.name, error.reason, error.cell) == ("rows", "why", 3)
