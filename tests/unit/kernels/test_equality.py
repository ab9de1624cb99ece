"""Two values are equal in content, or not, or nobody can tell; never an error, never a guess."""

from __future__ import annotations

import copy
import threading
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier

from respawn_kernels.introspection.equality import same

_FOREST = RandomForestClassifier(3, random_state=0).fit([[0], [1], [2]], [0, 1, 0])
_OTHER_FOREST = RandomForestClassifier(3, random_state=1).fit([[0], [1], [2]], [1, 0, 0])


class Account:
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.me = self


def rows(step: int) -> list[Any]:
    found: list[Any] = [step]
    found.append(found)
    return found


PAIRS: dict[str, tuple[Any, Any]] = {
    "numbers": (1, 2),
    "number and truth": (1, True),
    "text": ("a", "b"),
    "lists": ([1, [2]], [1, [3]]),
    "longer list": ([1], [1, 2]),
    "dicts": ({"a": [1]}, {"a": [2]}),
    "keys": ({"a": 1}, {"b": 1}),
    "sets": ({1}, {2}),
    "arrays": (np.array([1.0, np.nan]), np.array([2.0, np.nan])),
    "dtypes": (np.zeros(2), np.zeros(2, "f4")),
    "object arrays": (np.array([{"a": 1}, None]), np.array([{"a": 2}, None])),
    "masked": (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0])),
    "frames": (pd.DataFrame({"a": [1, None]}), pd.DataFrame({"a": [2, None]})),
    "labels of frames": (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}, index=[5])),
    "series": (pd.Series(["x"]), pd.Series(["y"])),
    "index": (pd.Index([1]), pd.Index([2])),
    "polars": (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]})),
    "arrow": (pa.table({"a": [1]}), pa.table({"a": [2]})),
    "sparse": (sparse.csr_array(np.eye(2)), sparse.csr_array(np.ones((2, 2)))),
    "models": (_FOREST, _OTHER_FOREST),
    "graphs": (nx.path_graph(3), nx.path_graph(4)),
    "objects": (Account("ada"), Account("bob")),
    "functions": (lambda: 1, lambda: 2),
    "cycles": (rows(1), rows(2)),
    "types": ([1], (1,)),
    "modules": (np, pd),
}


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS)
def test_what_differs_is_told_apart_and_a_copy_is_not(one: Any, other: Any) -> None:
    assert same(one, other) is False
    if one is not np:
        assert same(one, copy.deepcopy(one)) is True


def _made(code: str) -> Any:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(code, namespace)
    return namespace["made"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def made(a, b=1): return a + b", "def made(a, b=2): return a + b"),
        ("def made(a, b=1): return a + b", "def made(a, b=1): return a - b"),
        ("def f(n):\n    return lambda: n\nmade = f(1)", "def f(n):\n    return lambda: n\nmade = f(2)"),
        ("class made:\n    def f(self): return 1", "class made:\n    def f(self): return 2"),
        ("class A:\n    def f(self): return 1\nmade = A()\nmade.x = 1",
         "class A:\n    def f(self): return 1\nmade = A()\nmade.x = 2"),
    ],
)  # fmt: skip
def test_code_of_a_notebook_is_compared_by_what_it_does(one: str, other: str) -> None:
    assert same(_made(one), _made(other)) is False
    assert same(_made(one), _made("\n" + one)) is True


def test_what_cannot_be_compared_is_said() -> None:
    assert same(threading.Lock(), threading.Lock()) is None
    assert same([threading.Lock(), 1], [threading.Lock(), 1]) is None
    assert same([threading.Lock(), 1], [threading.Lock(), 2]) is False
