"""Pages of runs, newest first, at the cost of what is shown.

A page may span several namespaces and states. One query over all of them would make the database choose
between reading every run of theirs and reading everybody's newest runs until enough are theirs. So each part,
a namespace in a state, gives its newest runs from an index, and the newest of these are the page.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, or_, select, union_all
from sqlalchemy.orm import Session, defer

from respawn_jobs.access import Actor
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ids import is_id
from respawn_jobs.ledger.context import find_run
from respawn_jobs.models import RunState
from respawn_jobs.store.tables import RunRow

T = TypeVar("T")
Query = TypeVar("Query", bound="Select[*tuple[Any, ...]]")
AT_ONCE = 1000
"""Values per query: databases limit how many one may have."""
_PARTS_AT_ONCE = 50


@dataclass(frozen=True)
class Place:
    """Where a page begins: below a time, or below a run, whose twins of the same instant are not lost."""

    created_at: datetime
    run_id: str | None = None

    def below(self) -> ColumnElement[bool]:
        """Return the condition of the runs from here on."""
        older = RunRow.created_at < self.created_at
        if self.run_id is None:
            return older
        twins = and_(RunRow.created_at == self.created_at, RunRow.id < self.run_id)
        # Said twice, since only a plain comparison leads into an index.
        return and_(RunRow.created_at <= self.created_at, or_(older, twins))


def place_of(session: Session, actor: Actor, before: datetime | str | None) -> Place | None:
    """Return where a page begins that was asked for by a time, its text, or the last run of the page before.

    Raises `InvalidInput` for a time without a zone and for other texts, `NotFound` or `Forbidden` for a run.
    """
    if before is None:
        return None
    if isinstance(before, str) and is_id("run", before):
        row, _ = find_run(session, actor, before)
        return Place(row.created_at, row.id)
    try:
        moment = datetime.fromisoformat(before) if isinstance(before, str) else before
    except ValueError as error:
        raise InvalidInput(f"`before` is a time (ISO 8601) or a run's id, not {before!r}") from error
    if moment.tzinfo is None:
        raise InvalidInput(f"`before` needs a time zone: {moment.isoformat()} has none")
    return Place(moment)


def newest(
    session: Session,
    scopes: Sequence[ColumnElement[bool]],
    states: Collection[RunState],
    place: Place | None,
    limit: int,
) -> Sequence[RunRow]:
    """Return the newest runs of any of `scopes`, which do not overlap, in any of `states` (none for all)."""
    wanted = set(states)
    if wanted and wanted != set(RunState):
        parts = [and_(scope, RunRow.state == state.value) for scope in scopes for state in sorted(wanted)]
    else:
        parts = list(scopes)
    if place is not None:
        parts = [and_(part, place.below()) for part in parts]
    whole = select(RunRow).options(defer(RunRow.resume))
    if len(parts) == 1:
        return session.scalars(_first(whole.where(parts[0]), limit)).all()
    ids = _newest_ids(session, parts, limit)
    queries = (whole.where(RunRow.id.in_(some)) for some in in_pieces(ids, AT_ONCE))
    rows = [row for query in queries for row in session.scalars(query)]
    return sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)


def in_pieces(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield values in pieces that one query can take."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _newest_ids(session: Session, parts: Sequence[ColumnElement[bool]], limit: int) -> list[str]:
    found: list[tuple[datetime, str]] = []
    for some in in_pieces(parts, _PARTS_AT_ONCE):
        tops = [_first(select(RunRow.created_at, RunRow.id).where(part), limit).subquery() for part in some]
        keys = session.execute(union_all(*(select(top.c.created_at, top.c.id) for top in tops)))
        found = heapq.nlargest(limit, [*found, *((created_at, run_id) for created_at, run_id in keys)])
    return [run_id for _, run_id in found]


def _first(query: Query, limit: int) -> Query:
    return query.order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(limit)
