"""How tables of Polars in several chunks are taken apart: column by column, chunk by chunk.

Polars brings chunks together with its threads when it serializes them. A forked process has none of
them, and Polars would wait for ever (https://docs.pola.rs/user-guide/misc/multiprocessing/).
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions; Polars is loaded."""
    polars = sys.modules["polars"]
    return {
        polars.Series: _series,
        polars.DataFrame: _frame,
        polars.LazyFrame: _plan,
        polars.Expr: _plan,
    }


def _plan(query: Any, _pickler: NamespacePickler) -> Any:
    """Refuse a query that calls a function of Python: Polars would give it variables of its own."""
    stored = query.__getstate__()
    if any(mark in stored for mark in _CALLS_PYTHON):
        raise pickle.PicklingError("a query that calls a function of Python")
    return NotImplemented


_CALLS_PYTHON = (b"PLPYFN", b"cloudpickle")
"""What stands before a function, in the plans of Polars and in pickles of cloudpickle."""


def _frame(frame: Any, _pickler: NamespacePickler) -> Any:
    columns = frame.get_columns()
    if all(column.n_chunks() == 1 for column in columns):
        return NotImplemented
    return make_polars_frame, (columns,)


@stable_name
def make_polars_frame(columns: Sequence[Any]) -> Any:
    """Return a table of columns, whose chunks stay apart."""
    return sys.modules["polars"].DataFrame(columns)


def _series(series: Any, _pickler: NamespacePickler) -> Any:
    if series.n_chunks() == 1:
        return NotImplemented
    return make_polars_series, (series.get_chunks(),)


@stable_name
def make_polars_series(chunks: Sequence[Any]) -> Any:
    """Return one series of chunks, which stay apart."""
    series = chunks[0].clone()
    for chunk in chunks[1:]:
        series.append(chunk)
    return series
