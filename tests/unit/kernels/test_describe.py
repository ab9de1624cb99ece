"""Descriptions are short, true and never run anybody's code."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from respawn_kernels.introspection.descriptions import describe, size_of, type_name


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (3, "int", "3"),
        (10**100, "int", "333 bits"),
        (True, "bool", "True"),
        (None, "NoneType", "None"),
        (0.5, "float", "0.5"),
        ("short", "str", "'short'"),
        (b"abc", "bytes", "3 bytes"),
        ([1], "list", "1 item"),
        ({"a": 1, "b": 2}, "dict", "2 items"),
        (math, "module", "math"),
        (lambda x, y=1, *, z: 0, "function", "(x, y, z)"),
        (np.zeros((3, 4)), "numpy.ndarray", "3 × 4 float64"),
        (np.float32(1.5), "numpy.float32", "1.5"),
        (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), "pandas.DataFrame", "2 × 2 table"),
        (pd.Series([1, 2]), "pandas.Series", "2 int64"),
        (pd.Index([1]), "pandas.Index", "1 label"),
    ],
)
def test_common_values_are_described(value: object, kind: str, words: str) -> None:
    assert type_name(value) == kind
    assert describe(value) == words


def test_long_text_is_cut() -> None:
    assert describe("x" * 10_000) == f"{'x' * 60!r}… (10,000 characters)"


def test_sizes_are_told_where_they_are_cheap() -> None:
    assert size_of(np.zeros(1000)) == 8000
    assert size_of(pd.DataFrame({"a": np.zeros(1000)})) == 8000
    assert size_of([1, 2]) is None


class _MetaTrap(type):
    def __getattribute__(cls, name: str) -> object:
        raise AssertionError(f"asked the class for {name}")


class _Trap(metaclass=_MetaTrap):
    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"asked for {name}")

    def __repr__(self) -> str:
        raise AssertionError("asked for repr")

    def __len__(self) -> int:
        raise AssertionError("asked for len")


class _Array(np.ndarray):
    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        raise AssertionError("asked for shape")


class _Dict(dict[str, int]):
    def __len__(self) -> int:
        raise AssertionError("asked for len")


def test_hostile_values_are_not_asked_anything() -> None:
    trap = _Trap()
    assert type_name(trap).endswith("_Trap")
    assert describe(trap) == ""
    assert size_of(trap) is None
    assert describe(_Dict(a=1)) == ""
    assert describe(np.zeros(3).view(_Array)) == "3 float64"
