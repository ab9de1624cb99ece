"""Watches: an object that appears under a prefix of the inbox makes a run.

A watch is looked at every so often, by one replica at a time, and listed outside of any transaction. An
object makes its run when two looks in a row see the same mark on it; written again, it makes another. What
was there before the watch makes none. Names that were seen are remembered as long as the watch, so that an
inbox which goes away and comes back makes nothing run again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.errors import InvalidInput, NotFound, RespawnError
from respawn_jobs.ids import new_id
from respawn_jobs.inbox import Appeared, Inbox
from respawn_jobs.ledger import audit
from respawn_jobs.ledger.context import Context, find_job, find_version
from respawn_jobs.ledger.convert import ref_of
from respawn_jobs.ledger.limits import NAME, check_text
from respawn_jobs.ledger.shown_parameters import shown_by_trigger
from respawn_jobs.ledger.suspension import at_work, check_not_archived, locked_job
from respawn_jobs.ledger.triggered import Occasion, check_rule, queue
from respawn_jobs.service_triggers import ObjectWatch, WatchRequest
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import JobRow
from respawn_jobs.store.trigger_tables import WatchedRow, WatchRow

logger = logging.getLogger(__name__)
_LOOK_LASTS = timedelta(minutes=5)
"""After which another replica may look: the one that looked may have died."""


@dataclass(frozen=True)
class Look:
    """One look at a watch, claimed by one replica."""

    watch: str
    namespace: str
    prefix: str


def watch(context: Context, actor: Actor, request: WatchRequest) -> ObjectWatch:
    """Add a watch to a job; see `TriggerService.watch`. Raises `Unavailable` when the inbox is not there."""
    inbox = _inbox(context)
    later = [] if request.parameter is None else [check_text("parameter", request.parameter, NAME)]
    prefix = check_text("prefix", request.prefix.strip("/"))
    with context.database.session() as session:
        job = find_job(session, actor, request.job, "edit")
        check_not_archived(job)
        fixed = check_rule(find_version(session, job), request.parameters, later)
    present = inbox.look(job.namespace, prefix)
    with context.database.session(write=True) as session:
        row = WatchRow(
            id=new_id("wch"),
            job_id=job.id,
            prefix=prefix,
            parameter=request.parameter,
            parameters=fixed,
            next_look=context.clock(),
            said=None,
            created_by=actor.name,
            created_at=context.clock(),
        )
        session.add(row)
        session.flush()
        session.add_all(
            WatchedRow(watch_id=row.id, name_hash=hash_of(one.name), mark=one.mark, fired=True)
            for one in present
        )
        audit.write(
            context, session, actor.name, "watch", job.namespace, row.id, job=ref_of(job), prefix=prefix
        )
        return watch_of(context, row, job)


def unwatch(context: Context, actor: Actor, watch_id: str) -> None:
    """Remove a watch; its runs stay."""
    with context.database.session(write=True) as session:
        query = select(WatchRow).where(WatchRow.id == check_text("watch", watch_id))
        row = session.scalar(query.with_for_update())
        if row is None:
            raise NotFound(f"there is no watch {watch_id}", watch=watch_id)
        job = session.get_one(JobRow, row.job_id)
        actor.require("edit", job.namespace, watch_id)
        session.execute(delete(WatchedRow).where(WatchedRow.watch_id == row.id))
        session.delete(row)
        audit.write(
            context, session, actor.name, "unwatch", job.namespace, watch_id,
            job=ref_of(job), prefix=row.prefix,
        )  # fmt: skip


def watches_of(context: Context, session: Session, job: JobRow) -> list[ObjectWatch]:
    """Return a job's watches, oldest first."""
    query = select(WatchRow).where(WatchRow.job_id == job.id).order_by(WatchRow.created_at, WatchRow.id)
    return [watch_of(context, row, job) for row in session.scalars(query)]


def watch_of(context: Context, row: WatchRow, job: JobRow) -> ObjectWatch:
    """Return a watch."""
    return ObjectWatch(
        id=row.id,
        job=ref_of(job),
        prefix=row.prefix,
        address=context.inbox.address(job.namespace, row.prefix) if context.inbox else None,
        parameter=row.parameter,
        parameters=shown_by_trigger(row.parameters, job),
        next_look=row.next_look,
        said=row.said,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def look(context: Context, every_seconds: float) -> list[str]:
    """Look at every watch that is due, and return the ids of the runs that objects have made.

    What keeps one look from its end is noted on its watch and tried again; it holds up no other.
    """
    queued: list[str] = []
    if context.inbox is None:
        return queued
    due = select(WatchRow.id).where(WatchRow.next_look <= context.clock(), at_work(WatchRow.job_id))
    due = due.order_by(WatchRow.next_look)
    with context.database.session() as session:
        waiting = list(session.scalars(due))
    for watch_id in waiting:
        claimed = _claim(context, watch_id)
        if claimed is None:
            continue
        said: str | None = None
        try:
            seen = context.inbox.look(claimed.namespace, claimed.prefix)
            for name in _settled(context, watch_id, seen):
                run = _fire(context, watch_id, name)
                queued += [run] if run else []
        except RespawnError as error:
            said = error.message
            logger.warning("%s: %s", watch_id, said)
        except Exception as error:  # whatever one watch meets, the others must be looked at
            said = f"the service met an error of its own: {type(error).__name__}"
            logger.exception("%s could not be looked at", watch_id)
        _note(context, watch_id, said, every_seconds)
    return queued


def _claim(context: Context, watch_id: str) -> Look | None:
    """Take a due look; None when another replica has, or the watch is gone."""
    with context.database.session(write=True) as session:
        now = context.clock()
        due = select(WatchRow).where(WatchRow.id == watch_id, WatchRow.next_look <= now)
        row = session.scalar(due.with_for_update(skip_locked=True))
        if row is None:
            return None
        row.next_look = now + _LOOK_LASTS
        return Look(row.id, session.get_one(JobRow, row.job_id).namespace, row.prefix)


def _note(context: Context, watch_id: str, said: str | None, every_seconds: float) -> None:
    with context.database.session(write=True) as session:
        row = session.scalar(select(WatchRow).where(WatchRow.id == watch_id).with_for_update())
        if row is not None:
            row.said, row.next_look = said, context.clock() + timedelta(seconds=every_seconds)


def _settled(context: Context, watch_id: str, seen: Sequence[Appeared]) -> list[Appeared]:
    """Remember what a look saw; return what is as the look before saw it, and has made no run yet."""
    settled: list[Appeared] = []
    for piece in in_pieces(seen):
        some = {hash_of(one.name): one for one in piece}
        with context.database.session(write=True) as session:
            watch = select(WatchRow.id).where(WatchRow.id == watch_id)
            if session.scalar(watch.with_for_update()) is None:
                return []  # removed while it was looked at
            known = {
                row.name_hash: row
                for row in session.scalars(
                    select(WatchedRow).where(WatchedRow.watch_id == watch_id, WatchedRow.name_hash.in_(some))
                )
            }
            for name_hash, one in some.items():
                row = known.get(name_hash)
                if row is None:
                    session.add(
                        WatchedRow(watch_id=watch_id, name_hash=name_hash, mark=one.mark, fired=False)
                    )
                elif row.mark != one.mark:
                    row.mark, row.fired = one.mark, False
                elif not row.fired:
                    settled.append(one)
    return settled


def _fire(context: Context, watch_id: str, appeared: Appeared) -> str | None:
    """Make the run of an object that has settled; None when another replica has."""
    name_hash = hash_of(appeared.name)
    with context.database.session(write=True) as session:
        watch = session.scalar(select(WatchRow).where(WatchRow.id == watch_id).with_for_update())
        row = session.get(WatchedRow, (watch_id, name_hash))
        if watch is None or row is None or row.fired or row.mark != appeared.mark:
            return None
        job = locked_job(session, watch.job_id)
        if job.archived_at is not None:
            return None
        given = {} if watch.parameter is None else {watch.parameter: appeared.address}
        occasion = Occasion(
            "object", watch.id, f"{name_hash}-{hash_of(appeared.mark)}", watch.created_by,
            {**watch.parameters, **given},
        )  # fmt: skip
        run = queue(context, session, job, occasion)
        row.fired = True
        return None if run is None else run.id


def _inbox(context: Context) -> Inbox:
    if context.inbox is None:
        raise InvalidInput(
            "there is no inbox to watch: an administrator names one with RESPAWN_INBOX_URL, "
            "and only a hub's service watches it"
        )
    return context.inbox


def hash_of(text: str) -> str:
    """Return what a name, or a mark, is remembered by."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
