"""The first rows or lines of an artifact, noted when it is saved, so that nobody need open its file to look.

The service shows them, and reads no Parquet that somebody's notebook made.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

ROWS = 8
COLUMNS = 20
_CELL = 80
_TEXT = 2000


def preview_of(value: Any, kind: str) -> dict[str, Any] | None:
    """Return a preview as JSON: `{"text": …}`, or `{"columns": …, "types": …, "rows": …}`; None for none.

    Args:
        value: what was saved.
        kind: how it is kept, a kind of `kinds`.
    """
    try:
        if kind == "text":
            return {"text": value[:_TEXT]}
        if kind == "json":
            return {"text": json.dumps(value, indent=1, ensure_ascii=False)[:_TEXT]}
        return _table(value) if kind == "parquet" else None
    except Exception:  # noqa: BLE001  a preview is a courtesy; an artifact whose values fight it goes without
        return None


def _table(value: Any) -> dict[str, Any]:
    library = type(value).__module__.partition(".")[0]
    if library == "pandas":
        head = value.iloc[:ROWS, :COLUMNS]
        names, kinds = list(head.columns), list(head.dtypes)
        columns = [list(head.iloc[:, place]) for place in range(len(names))]
        if type(head.index) is not sys.modules["pandas"].RangeIndex:
            names, kinds = [head.index.name or "", *names], [head.index.dtype, *kinds]
            columns = [list(head.index), *columns]
    elif library == "polars":
        head = value[:ROWS, :COLUMNS]
        names, kinds = head.columns, head.dtypes
        columns = [list(head[name]) for name in names]
    else:
        head = value.slice(0, ROWS).select(value.column_names[:COLUMNS])
        names, kinds = head.column_names, head.schema.types
        columns = [column.to_pylist() for column in head.columns]
    return {
        "columns": _texts(names),
        "types": _texts(kinds),
        "rows": [_texts(row) for row in zip(*columns, strict=True)],
    }


def _texts(values: Iterable[Any]) -> list[str]:
    return [text if len(text := str(one)) <= _CELL else f"{text[:_CELL]}…" for one in values]
