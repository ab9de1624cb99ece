"""Backfills: started and stopped by people; their runs are made in order, as places come free.

A run is made in the transaction that locks its backfill and counts it as made, and under a key of its own
(`runs_triggered_once`): any number of replicas make each once, whichever of them dies. They are runs like
others in the queue; only `parallel` of them wait or run at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, func, or_, select
from sqlalchemy.orm import Session, defer

from respawn_jobs.access import Action, Actor
from respawn_jobs.api.backfills import Backfill, BackfillPreview, BackfillRequest
from respawn_jobs.errors import Conflict, InvalidInput, NotFound, Unavailable
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.attempts import cancellation
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import at_work, check_not_archived
from respawn_jobs.ledger.context.context import Context, find_job, find_version
from respawn_jobs.ledger.context.text_limits import check_text
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.ledger.triggers import trigger_run
from respawn_jobs.ledger.triggers.backfill_plan import Planned, planned
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.tables import JobRow, RunRow
from respawn_jobs.store.trigger_tables import BackfillRow

logger = logging.getLogger(__name__)
_SHOWN = 3
"""Items at the beginning and at the end that a preview shows."""
_MAX_LISTED = 200
_ACTIVE, _STOPPED, _DONE = "active", "stopped", "done"


def preview(context: Context, actor: Actor, request: BackfillRequest) -> BackfillPreview:
    """Tell what a backfill would make; see `BackfillService.preview_backfill`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs what `start` needs.
        request: the job, and which runs are wanted.

    Raises:
        NotFound, Forbidden: see `find_job`.
        Conflict: the job is archived.
    """
    job, plan = _plan(context, actor, request)
    first = plan.items[:_SHOWN]
    return BackfillPreview(
        job=ref_of(job),
        about=plan.about,
        total=len(plan.items),
        first=first,
        last=plan.items[_SHOWN:][-_SHOWN:],
        problems=plan.problems,
        notes=plan.notes,
    )


def start(context: Context, actor: Actor, request: BackfillRequest) -> Backfill:
    """Start a backfill; see `BackfillService.backfill`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` in the job's namespace.
        request: the job, which runs are wanted, and how many of them may execute at once.

    Raises:
        InvalidInput: the plan has problems; the first is in the message.
        NotFound, Forbidden: see `find_job`.
        Conflict: the job is archived.
    """
    job, plan = _plan(context, actor, request)
    if plan.problems:
        more = f" (and {len(plan.problems) - 1} more)" if len(plan.problems) > 1 else ""
        raise InvalidInput(plan.problems[0] + more, problems=plan.problems)
    with context.database.session(write=True) as session:
        row = BackfillRow(
            id=new_id("bfl"),
            job_id=job.id,
            state=_ACTIVE,
            about=plan.about,
            parallel=request.parallel,
            total=len(plan.items),
            made=0,
            items=[
                {"logical_date": item.logical_date.isoformat(), "parameters": item.parameters}
                for item in plan.items
            ],
            created_by=actor.name,
            created_at=context.clock(),
        )
        session.add(row)
        trail.write(
            context, session, actor.name, "backfill", job.namespace, row.id,
            job=ref_of(job), about=row.about, runs=row.total, parallel=row.parallel,
        )  # fmt: skip
        session.flush()
        return _shown(session, [row])[0]


def backfills(context: Context, actor: Actor, job: str | None, limit: int) -> list[Backfill]:
    """Return backfills, newest first; see `BackfillService.backfills`.

    Args:
        context: the ledger's surroundings.
        actor: who asks.
        job: the job, as `find_job` takes it; None for the backfills of all jobs that the actor may read.
        limit: how many at most.

    Raises:
        InvalidInput: the limit is none that is taken.
        NotFound, Forbidden: see `find_job`.
    """
    if not 0 < limit <= _MAX_LISTED:
        raise InvalidInput(f"limit must be from 1 to {_MAX_LISTED}, not {limit}", limit=limit)
    query = select(BackfillRow).options(defer(BackfillRow.items))
    query = query.order_by(BackfillRow.created_at.desc(), BackfillRow.id.desc()).limit(limit)
    readable = actor.readable()
    with context.database.session() as session:
        if job is not None:
            query = query.where(BackfillRow.job_id == find_job(session, actor, job).id)
        elif readable is not None:
            query = query.join(JobRow).where(JobRow.namespace.in_(readable))
        return _shown(session, session.scalars(query).all())


def show(context: Context, actor: Actor, backfill_id: str) -> Backfill:
    """Return one backfill. Raises `NotFound`, or `Forbidden` naming whose it is.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        backfill_id: id of the backfill.
    """
    with context.database.session() as session:
        row, _ = _find(session, actor, backfill_id, "read")
        return _shown(session, [row])[0]


def stop(context: Context, actor: Actor, backfill_id: str, *, cancel: bool) -> Backfill:
    """Let a backfill make no more runs; see `BackfillService.stop_backfill`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` in the job's namespace.
        backfill_id: id of the backfill.
        cancel: whether its runs that have not ended are cancelled.

    Raises:
        Conflict: all its runs have ended.
        NotFound, Forbidden: see `show`.
    """
    with context.database.session(write=True) as session:
        row, job = _find(session, actor, backfill_id, "run", lock=True)
        if row.state == _DONE:
            raise Conflict(f"{backfill_id} is done: all its runs have ended", backfill=backfill_id)
        if row.state == _ACTIVE:
            row.state, row.finished_at = _STOPPED, context.clock()
        trail.write(
            context, session, actor.name, "stop backfill", job.namespace, row.id,
            job=ref_of(job), made=row.made, cancel=cancel,
        )  # fmt: skip
    if cancel:
        cancellation.cancel_open(context, actor, RunRow.trigger_id == backfill_id)
    return show(context, actor, backfill_id)


def fill(context: Context) -> list[str]:
    """Make the runs that backfills have places for, and return the runs' ids.

    A backfill that makes trouble is logged and tried again by the next call; it holds up no other.
    """
    with context.database.session() as session:
        waiting = session.scalars(_to_look_at()).all()
    made: list[str] = []
    for backfill_id in waiting:
        try:
            made += _fill(context, backfill_id)
        except Unavailable:
            raise
        except Exception:  # whatever one backfill holds, the others must go on
            logger.exception("%s could not go on", backfill_id)
    return made


def _fill(context: Context, backfill_id: str) -> list[str]:
    with context.database.session(write=True) as session:
        query = select(BackfillRow).where(BackfillRow.id == backfill_id, BackfillRow.state == _ACTIVE)
        row = session.scalar(query.with_for_update(skip_locked=True))
        if row is None:  # another replica is at it, or somebody stopped it
            return []
        still_open = session.scalar(select(_open_runs(RunRow.trigger_id == backfill_id))) or 0
        room = max(0, row.parallel - still_open)
        # Locked before the first run is inserted: two triggers of one job that make several would deadlock.
        job = session.get_one(JobRow, row.job_id, with_for_update=True)
        if job.archived_at is not None:
            return []
        new: list[str] = []
        for place in range(row.made, min(row.total, row.made + room)):
            item = row.items[place]
            event = trigger_run.TriggerEvent(
                "backfill", row.id, str(place + 1), row.created_by, item["parameters"],
                logical_date=datetime.fromisoformat(item["logical_date"]),
            )  # fmt: skip
            run = trigger_run.queue(context, session, job, event)
            new += [run.id] if run is not None else []
            row.made = place + 1
        if row.made == row.total and still_open == 0 and not new:
            row.state, row.finished_at = _DONE, context.clock()
        return new


def _to_look_at() -> Select[str]:
    """Select active backfills that have a place for a run, or none left to wait for."""
    still_open = _open_runs(RunRow.trigger_id == BackfillRow.id)
    has_room = and_(BackfillRow.made < BackfillRow.total, still_open < BackfillRow.parallel)
    query = select(BackfillRow.id).where(
        BackfillRow.state == _ACTIVE, or_(has_room, still_open == 0), at_work(BackfillRow.job_id)
    )
    return query.order_by(BackfillRow.created_at, BackfillRow.id)


def _open_runs(which: ColumnElement[bool]) -> ScalarSelect[int]:
    counted = select(func.count()).select_from(RunRow).where(which, RunRow.state.in_(cancellation.OPEN))
    return counted.correlate(BackfillRow).scalar_subquery()


def _plan(context: Context, actor: Actor, request: BackfillRequest) -> tuple[JobRow, Planned]:
    with context.database.session() as session:
        job = find_job(session, actor, request.job, "run")
        check_not_archived(job)
        return job, planned(session, job, find_version(session, job), request, context.clock())


def _find(
    session: Session, actor: Actor, backfill_id: str, action: Action, *, lock: bool = False
) -> tuple[BackfillRow, JobRow]:
    query = select(BackfillRow).where(BackfillRow.id == check_text("backfill", backfill_id))
    query = query.options(defer(BackfillRow.items))
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no backfill {backfill_id}", backfill=backfill_id)
    job = session.get_one(JobRow, row.job_id)
    actor.require(action, job.namespace, backfill_id)
    return row, job


def _shown(session: Session, rows: Sequence[BackfillRow]) -> list[Backfill]:
    ids = [row.id for row in rows]
    query = select(RunRow.trigger_id, RunRow.state, func.count()).where(RunRow.trigger_id.in_(ids))
    found = session.execute(query.group_by(RunRow.trigger_id, RunRow.state))
    counts = {(owner, RunState(state)): number for owner, state, number in found}
    query_jobs = select(JobRow).where(JobRow.id.in_({row.job_id for row in rows}))
    jobs = {job.id: ref_of(job) for job in session.scalars(query_jobs)}
    failed = (RunState.FAILED, RunState.TIMED_OUT, RunState.LOST)
    return [
        Backfill(
            id=row.id,
            job=jobs[row.job_id],
            state=row.state,  # type: ignore[arg-type]  # the store holds only what the model allows
            about=row.about,
            parallel=row.parallel,
            total=row.total,
            made=row.made,
            queued=counts.get((row.id, RunState.QUEUED), 0),
            running=counts.get((row.id, RunState.RUNNING), 0),
            suspended=counts.get((row.id, RunState.SUSPENDED), 0),
            succeeded=counts.get((row.id, RunState.SUCCEEDED), 0),
            failed=sum(counts.get((row.id, state), 0) for state in failed),
            cancelled=counts.get((row.id, RunState.CANCELLED), 0),
            created_by=row.created_by,
            created_at=row.created_at,
            finished_at=row.finished_at,
        )
        for row in rows
    ]
