"""The outbox of notices: claimed, sent by whoever claimed them, marked.

Sending takes time and has no part in a transaction. So a replica claims what it sends for a few minutes; when
it dies, another one sends it. A message may therefore come twice, and none is lost. What a channel refuses is
tried again after growing pauses, for a day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.notices.run_notices import OLDEST
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.model.notices import Kind, Message, Notice
from respawn_jobs.redact import shown
from respawn_jobs.store.service_tables import NoticeRow
from respawn_jobs.store.tables import JobRow

CLAIM = timedelta(minutes=5)
"""How long a replica may take to send a message before another one does."""
_FIRST_PAUSE, _MAX_PAUSE = timedelta(seconds=30), timedelta(hours=1)
_MAX_REASON = 500
_MAX_TOGETHER = 1000


def claim(context: Context, *, busy: Collection[str] = ()) -> Message | None:
    """Claim the next message that is due, with all failures of its job that wait; None when there is none.

    Args:
        context: the ledger's surroundings.
        busy: channels that are left alone: the caller is sending to them already.
    """
    now = context.clock()
    with context.database.session(write=True) as session:
        query = select(NoticeRow).where(*_open(context), NoticeRow.not_before <= now)
        if busy:
            query = query.where(NoticeRow.channel.not_in(sorted(busy)))
        # What was refused before comes last: a channel that is down must not hold up the others.
        order = (NoticeRow.tries, NoticeRow.not_before, NoticeRow.id)
        first = session.scalar(query.order_by(*order).limit(1).with_for_update(skip_locked=True))
        if first is None:
            return None
        rows = _with_peers(context, session, first)
        for row in rows:
            row.claimed_until = now + CLAIM
        job = session.get_one(JobRow, first.job_id)
        delivered = [frozenset(row.details.get("delivered", ())) for row in rows]
        return Message(
            ids=tuple(row.id for row in rows),
            channel=first.channel,
            kind=cast("Kind", first.kind),
            namespace=job.namespace,
            job=ref_of(job),
            items=tuple(Notice.model_validate(_details(row)) for row in rows),
            at=rows[0].at,
            tries=first.tries,
            delivered=frozenset.intersection(*delivered),
        )


def sent(context: Context, message: Message) -> None:
    """Mark a message as sent."""
    with context.database.session(write=True) as session:
        for row in _rows(session, message):
            row.sent_at, row.error, row.claimed_until = context.clock(), None, None
    context.observer.notice_tried(message.kind, sent=True)


def refused(context: Context, message: Message, reason: str, delivered: Iterable[int] = ()) -> None:
    """Keep why a message could not be sent, and let it be tried again later.

    Args:
        context: the ledger's surroundings.
        message: what was claimed.
        reason: why; secrets are taken out.
        delivered: places of the channel's addresses that have it.
    """
    pause = min(_MAX_PAUSE, _FIRST_PAUSE * 2 ** min(message.tries, 12))
    with context.database.session(write=True) as session:
        for row in _rows(session, message):
            row.tries = message.tries + 1
            row.not_before = context.clock() + pause
            row.error, row.claimed_until = shown(reason, _MAX_REASON), None
            row.details = {**row.details, "delivered": sorted(delivered)}
    context.observer.notice_tried(message.kind, sent=False)


def failing_in(session: Session, now: datetime) -> dict[str, str]:
    """Return channels that refused what they have yet to be sent, and what they answered last."""
    query = select(NoticeRow.channel, NoticeRow.error).where(
        NoticeRow.sent_at.is_(None), NoticeRow.error.is_not(None), NoticeRow.at > now - OLDEST
    )
    return {channel: error or "" for channel, error in session.execute(query.order_by(NoticeRow.id))}


def _with_peers(context: Context, session: Session, first: NoticeRow) -> list[NoticeRow]:
    """Return a notice with the other failures of its job that its channel has not got yet, by age."""
    if first.kind != "failure":
        return [first]
    query = select(NoticeRow).where(
        *_open(context),
        NoticeRow.job_id == first.job_id,
        NoticeRow.channel == first.channel,
        NoticeRow.kind == "failure",
        NoticeRow.id != first.id,
    )
    more = session.scalars(
        query.order_by(NoticeRow.id).limit(_MAX_TOGETHER).with_for_update(skip_locked=True)
    )
    return sorted([first, *more], key=lambda row: row.id)


def _open(context: Context) -> list[ColumnElement[bool]]:
    now = context.clock()
    return [
        NoticeRow.sent_at.is_(None),
        NoticeRow.at > now - OLDEST,
        or_(NoticeRow.claimed_until.is_(None), NoticeRow.claimed_until <= now),
    ]


def _rows(session: Session, message: Message) -> list[NoticeRow]:
    query = select(NoticeRow).where(NoticeRow.id.in_(message.ids), NoticeRow.sent_at.is_(None))
    return list(session.scalars(query.order_by(NoticeRow.id).with_for_update()))


def _details(row: NoticeRow) -> dict[str, object]:
    return {name: value for name, value in row.details.items() if name in Notice.model_fields}
