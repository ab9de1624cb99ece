"""Tables as Parquet, where Parquet gives the same table back.

Whether it does is tried on the first rows, which have all the types of the whole. Where only the values show
it, all are looked at: a column of objects is written when all of them are texts, or missing in one way.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

_TRIED_ROWS = 5


def pandas_meta(table: Any) -> dict[str, Any] | None:
    """Return what loading needs beside the file; None when Parquet would not give the same table back.

    Args:
        table: a `pandas.DataFrame`, and no subclass of it.
    """
    import pandas as pd

    frequency = getattr(table.index, "freq", None)
    objects = {
        place: _nothing_of(table.iloc[:, place])
        for place, kind in enumerate(table.dtypes)
        if str(kind) == "object"
    }
    if table.attrs or table.flags != pd.DataFrame().flags or None in objects.values():
        return None
    meta = {
        "objects": [[place, nothing] for place, nothing in objects.items()],
        "frequency": None if frequency is None else frequency.freqstr,
    }
    tried = table.head(_TRIED_ROWS)
    try:
        back = _pandas_back(_through_memory(tried), meta)
        pd.testing.assert_frame_equal(back, tried, check_exact=True, check_freq=True)
    except Exception:  # noqa: BLE001  whatever Parquet cannot take, pickle may
        return None
    return meta


def write_pandas(path: Path, table: Any) -> None:
    """Write a DataFrame."""
    table.to_parquet(path, engine="pyarrow", compression="zstd")


def read_pandas(path: Path, meta: dict[str, Any]) -> Any:
    """Read a DataFrame."""
    import pandas as pd

    return _pandas_back(pd.read_parquet(path, engine="pyarrow"), meta)


def polars_meta(table: Any) -> dict[str, Any] | None:
    """As `pandas_meta`, for a `polars.DataFrame`."""
    import polars as pl

    tried = table.head(_TRIED_ROWS)
    try:
        file = io.BytesIO()
        tried.write_parquet(file)
        back = pl.read_parquet(io.BytesIO(file.getvalue()))
    except Exception:  # noqa: BLE001  as above
        return None
    return {} if back.schema == tried.schema and back.equals(tried) else None


def write_polars(path: Path, table: Any) -> None:
    """Write a DataFrame."""
    table.write_parquet(path)


def read_polars(path: Path, _meta: dict[str, Any]) -> Any:
    """Read a DataFrame."""
    import polars as pl

    return pl.read_parquet(path)


def arrow_meta(table: Any) -> dict[str, Any] | None:
    """As `pandas_meta`, for a `pyarrow.Table`."""
    import pyarrow as pa  # type: ignore[import-not-found, import-untyped, unused-ignore]
    import pyarrow.parquet as pq  # type: ignore[import-not-found, import-untyped, unused-ignore]

    tried = table.slice(0, _TRIED_ROWS)
    try:
        file = pa.BufferOutputStream()
        pq.write_table(tried, file)
        back = pq.read_table(pa.BufferReader(file.getvalue()))
    except Exception:  # noqa: BLE001  as above
        return None
    same = back.schema.equals(tried.schema, check_metadata=True) and back.equals(tried)
    return {} if same else None


def write_arrow(path: Path, table: Any) -> None:
    """Write a Table."""
    import pyarrow.parquet as pq  # type: ignore[import-not-found, import-untyped, unused-ignore]

    pq.write_table(table, path, compression="zstd")


def read_arrow(path: Path, _meta: dict[str, Any]) -> Any:
    """Read a Table."""
    import pyarrow.parquet as pq  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return pq.ParquetFile(path).read()


def _nothing_of(column: Any) -> str | None:
    """Return what stands for a missing text in a column of texts; None when it holds something else."""
    import pandas as pd

    if pd.api.types.infer_dtype(column, skipna=True) not in ("string", "empty"):
        return None
    missing = column[column.isna()]
    if all(value is None for value in missing):
        return "None"
    return "nan" if all(type(value) is float for value in missing) else None


def _through_memory(table: Any) -> Any:
    import pandas as pd

    file = io.BytesIO()
    table.to_parquet(file, engine="pyarrow")
    return pd.read_parquet(io.BytesIO(file.getvalue()), engine="pyarrow")


def _pandas_back(table: Any, meta: dict[str, Any]) -> Any:
    """Give a table that was read the types that Parquet does not know."""
    for place, nothing in meta["objects"]:
        column = table.iloc[:, place].astype(object)
        missing = None if nothing == "None" else float("nan")
        table.isetitem(place, column.where(column.notna(), missing))
    if meta["frequency"] is not None:
        table.index.freq = meta["frequency"]
    return table
