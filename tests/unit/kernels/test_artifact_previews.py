"""What is noted of an artifact to look at: little, of what can be shown, and never at the artifact's cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import respawn
from respawn_kernels.artifacts import api
from respawn_kernels.artifacts.previews import COLUMNS, ROWS
from respawn_kernels.exchange.artifact_records import PREVIEW, Shelf

DATA = {"n": [1, 2], "s": ["x", None]}


@pytest.fixture(autouse=True)
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session outside of any run."""
    monkeypatch.setattr(api, "_place", api._Place(Shelf(tmp_path / "session").make(), served=False))


def noted(value: Any) -> Any:
    """What a save notes; the artifact comes back all the same."""
    preview = respawn.save("it", value).meta.get(PREVIEW)
    assert type(respawn.load("it")) is type(value)
    return preview


def test_the_first_rows_of_tables_of_each_library() -> None:
    assert noted(pd.DataFrame({"n": [1, 2], "t": [True, False]})) == {
        "columns": ["n", "t"], "types": ["int64", "bool"], "rows": [["1", "True"], ["2", "False"]],
    }  # fmt: skip
    assert noted(pl.DataFrame(DATA)) == {
        "columns": ["n", "s"], "types": ["Int64", "String"], "rows": [["1", "x"], ["2", "None"]],
    }  # fmt: skip
    assert noted(pa.table(DATA)) == {
        "columns": ["n", "s"], "types": ["int64", "string"], "rows": [["1", "x"], ["2", "None"]],
    }  # fmt: skip


def test_an_index_that_says_something_is_the_first_column() -> None:
    dates = pd.date_range("2026-01-01", periods=2, name="day")
    found = noted(pd.DataFrame({"v": [1.5, 2.5]}, index=dates))
    assert found["columns"] == ["day", "v"]
    assert found["rows"][0] == ["2026-01-01 00:00:00", "1.5"]
    pairs = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])
    assert noted(pd.DataFrame({"v": [1, 2]}, index=pairs))["rows"][1] == ["('b', 2)", "2"]


def test_little_is_noted_of_what_is_large() -> None:
    wide = pd.DataFrame(np.zeros((1000, 300)), columns=[f"{'c' * 200}{n}" for n in range(300)])
    found = noted(wide)
    assert (len(found["columns"]), len(found["rows"])) == (COLUMNS, ROWS)
    assert max(map(len, found["columns"])) <= 81
    assert len(noted("x" * 100_000)["text"]) == 2000
    assert noted({"a": [1]})["text"] == '{\n "a": [\n  1\n ]\n}'
    assert noted(pd.DataFrame({"empty": pd.Series([], dtype="float32")}))["rows"] == []


@pytest.mark.parametrize("value", [b"bytes", np.zeros(3), object, (1, 2)], ids=repr)
def test_nothing_is_noted_of_the_rest(value: Any) -> None:
    assert noted(value) is None


def test_a_figure_becomes_a_picture_that_load_gives_the_path_of() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure()
    figure.subplots().plot([1, 2])
    record = respawn.save("plot", figure)
    assert (record.kind, record.type) == ("picture", "matplotlib.figure.Figure")
    path = respawn.load("plot")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.name == "figure.png"
