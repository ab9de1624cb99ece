"""Pages of runs, newest first: of everything, of namespaces, of a job; in some states; from a place on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from respawn_jobs.access import Actor
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ids import is_id
from respawn_jobs.ledger.context.context import find_run
from respawn_jobs.ledger.context.top_n import newest_keys
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import RunRow


@dataclass(frozen=True)
class PagePosition:
    """Where a page begins: below a time, or below a run, whose twins of the same instant are not lost."""

    created_at: datetime
    run_id: str | None = None

    @property
    def below(self) -> tuple[datetime] | tuple[datetime, str]:
        """What the runs from here on are older than."""
        return (self.created_at,) if self.run_id is None else (self.created_at, self.run_id)


def place_of(session: Session, actor: Actor, before: datetime | str | None) -> PagePosition | None:
    """Return where a page begins that was asked for by a time, its text, or the last run of the page before.

    Raises `InvalidInput` for a time without a zone and for other texts, `NotFound` or `Forbidden` for a run.

    Args:
        session: the caller's transaction.
        actor: who asks; needs `read` in the namespace of the run that is named.
        before: a time, its ISO 8601 text, or a run's id; None for no place.
    """
    if before is None:
        return None
    if isinstance(before, str) and is_id("run", before):
        row, _ = find_run(session, actor, before)
        return PagePosition(row.created_at, row.id)
    try:
        moment = datetime.fromisoformat(before) if isinstance(before, str) else before
    except ValueError as error:
        raise InvalidInput(f"`before` is a time (ISO 8601) or a run's id, not {before!r}") from error
    if moment.tzinfo is None:
        raise InvalidInput(f"`before` needs a time zone: {moment.isoformat()} has none")
    return PagePosition(moment)


def newest(
    session: Session,
    parts: Sequence[Mapping[str, str]],
    states: Collection[RunState],
    place: PagePosition | None,
    limit: int,
) -> Sequence[RunRow]:
    """Return the newest runs of any of `parts` in any of `states` (none for all), from a place on.

    A part is what columns hold, such as a namespace or a job; an empty one is all runs.

    This is keyset pagination: a page begins at the keys of a row, so it costs the same wherever it begins.

    Args:
        session: the caller's transaction.
        parts: for each part the values of columns by name; the same columns in all.
        states: only runs in one of these; empty for all.
        place: where the page begins; None for the newest.
        limit: the most runs.
    """
    wanted = set(states)
    if wanted and wanted != set(RunState):
        parts = [{**part, "state": state.value} for part in parts for state in sorted(wanted)]
    keys = newest_keys(session, RunRow, ("created_at", "id"), parts, limit, place.below if place else ())
    whole = select(RunRow).options(defer(RunRow.resume))
    queries = (whole.where(RunRow.id.in_(some)) for some in in_pieces([key[1] for key in keys]))
    rows = [row for query in queries for row in session.scalars(query)]
    return sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)
