"""The newest rows of several parts of a table, at the cost of what is asked for.

One query over many namespaces would make the database choose between reading every row of theirs and
reading everybody's newest rows until enough are theirs. So each part, such as a namespace in a state, gives
its newest rows from an index that begins with the part's columns, and the newest of these are the answer.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, select, tuple_, union_all
from sqlalchemy.orm import Session

from respawn_jobs.store.columns import Base
from respawn_jobs.store.pieces import in_pieces

_PARTS_AT_ONCE = 50


def newest_keys(
    session: Session,
    table: type[Base],
    keys: tuple[str, ...],
    parts: Sequence[Mapping[str, str]],
    limit: int,
    below: tuple[Any, ...] = (),
) -> list[tuple[Any, ...]]:
    """Return the keys of the newest rows of all parts together, newest first.

    `below` is keyset pagination: no page costs more than the first.

    Args:
        session: where to look.
        table: what is looked for.
        keys: the columns that say which of two rows is newer.
        parts: what columns hold, part by part; the same columns in all, and no two parts overlap.
        limit: the most keys.
        below: only rows older than one with these keys; fewer than all of them leave its twins out.
    """
    found: list[tuple[Any, ...]] = []
    given = {f"below_{key}": value for key, value in zip(keys, below, strict=False)}
    for some in in_pieces(parts, _PARTS_AT_ONCE):
        query = _query(table, keys, tuple(some[0]), len(below), len(some))
        values = {f"{column}_{i}": value for i, part in enumerate(some) for column, value in part.items()}
        rows = session.execute(query, {**values, **given, "most": limit})
        found = heapq.nlargest(limit, [*found, *(tuple(row) for row in rows)])
    return found


@lru_cache(maxsize=256)
def _query(
    table: type[Base], keys: tuple[str, ...], columns: tuple[str, ...], below: int, parts: int
) -> Select[Any]:
    """Return a query for `newest_keys`. It is kept, since to make it takes longer than to answer it."""
    named = table.__table__.c
    order = [named[key].desc() for key in keys]
    most = bindparam("most", type_=Integer)
    tops = []
    for i in range(parts):
        top = select(*(named[key] for key in keys))
        top = top.where(*(named[column] == bindparam(f"{column}_{i}") for column in columns))
        if below:
            ends = (bindparam(f"below_{key}", type_=named[key].type) for key in keys[:below])
            top = top.where(tuple_(*(named[key] for key in keys[:below])) < tuple_(*ends))
        tops.append(top.order_by(*order).limit(most).subquery())
    every = union_all(*(select(top) for top in tops)).subquery()
    return select(every).order_by(*(every.c[key].desc() for key in keys)).limit(most)
