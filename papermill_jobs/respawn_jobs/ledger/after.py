"""Rules by which a job runs after others: made, shown, paused and removed by people.

Rules change one at a time, so that two people cannot close a cycle together. What a completed period makes is
in `respawn_jobs.ledger.completing`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from respawn_jobs import schedules
from respawn_jobs.access import Actor
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.ids import new_id
from respawn_jobs.ledger import audit
from respawn_jobs.ledger.context import Context, find_job, find_version
from respawn_jobs.ledger.convert import ref_of
from respawn_jobs.ledger.graph import check_no_cycle
from respawn_jobs.ledger.limits import NAME, ZONE, check_text
from respawn_jobs.ledger.shown_parameters import shown_by_trigger
from respawn_jobs.ledger.suspension import check_not_archived
from respawn_jobs.ledger.triggered import check_rule
from respawn_jobs.service_triggers import After, AfterRequest, Source
from respawn_jobs.store.tables import AuditHeadRow, JobRow
from respawn_jobs.store.trigger_tables import AfterJobRow, AfterRow


def follow(context: Context, actor: Actor, request: AfterRequest) -> After:
    """Let a job run after others; see `TriggerService.follow`.

    A rule that is replaced keeps its id: a period that has made its run makes no other.
    """
    check_text("time zone", request.tz, ZONE)
    schedules.check("0 0 * * *", request.tz)
    with context.database.session(write=True) as session:
        job = find_job(session, actor, request.job, "edit")
        check_not_archived(job)
        upstream = [find_job(session, actor, ref) for ref in request.after]
        _take_turns(session, [job, *upstream])
        ids = list(dict.fromkeys(one.id for one in upstream))
        check_no_cycle(session, actor, job, ids)
        sources = _sources(session, actor, ids, request)
        fixed = check_rule(find_version(session, job), request.parameters, list(sources))
        row = _rule(session, job)
        if row is None:
            row = AfterRow(id=new_id("aft"), job_id=job.id)
            session.add(row)
        row.needs, row.waits_for, row.period, row.tz = (
            request.needs, request.waits_for, request.period, request.tz,
        )  # fmt: skip
        row.parameters, row.sources, row.paused = fixed, sources, False
        row.created_by, row.created_at = actor.name, context.clock()
        session.flush()
        session.execute(delete(AfterJobRow).where(AfterJobRow.after_id == row.id))
        session.add_all(AfterJobRow(after_id=row.id, job_id=one) for one in ids)
        audit.write(
            context, session, actor.name, "follow", job.namespace, row.id,
            job=ref_of(job), after=[ref_of(one) for one in upstream], needs=row.needs,
            waits_for=row.waits_for, period=row.period, tz=row.tz,
        )  # fmt: skip
        session.flush()
        return _shown(session, actor, row, job)


def unfollow(context: Context, actor: Actor, ref: str) -> None:
    """Remove a job's rule; its runs stay."""
    with context.database.session(write=True) as session:
        job, row = _existing(session, actor, ref)
        session.execute(delete(AfterJobRow).where(AfterJobRow.after_id == row.id))
        session.delete(row)
        audit.write(context, session, actor.name, "unfollow", job.namespace, row.id, job=ref_of(job))


def pause(context: Context, actor: Actor, ref: str, *, paused: bool) -> After:
    """Let a job's rule rest, or go on."""
    with context.database.session(write=True) as session:
        job, row = _existing(session, actor, ref)
        if row.paused != paused:
            row.paused = paused
            action = "pause" if paused else "unpause"
            audit.write(context, session, actor.name, action, job.namespace, row.id, job=ref_of(job))
            session.flush()
        return _shown(session, actor, row, job)


def rule_of(session: Session, actor: Actor, job: JobRow) -> After | None:
    """Return the rule of a job that the actor may read."""
    row = _rule(session, job)
    return None if row is None else _shown(session, actor, row, job)


def upstream_of(session: Session, rule_id: str) -> list[str]:
    """Return the ids of the jobs that a rule waits for."""
    query = select(AfterJobRow.job_id).where(AfterJobRow.after_id == rule_id)
    return list(session.scalars(query.order_by(AfterJobRow.job_id)))


def _take_turns(session: Session, jobs: list[JobRow]) -> None:
    """Let one rule change at a time, by the row that each change writes at its end: the audit trail's head.

    The jobs and the rule are locked before it, as everywhere: whoever holds one may wait for the head.
    """
    ids = sorted({job.id for job in jobs})
    locked = select(JobRow.id).where(JobRow.id.in_(ids)).order_by(JobRow.id)
    session.scalars(locked.with_for_update(read=True, key_share=True)).all()
    _rule(session, jobs[0], lock=True)
    session.scalar(select(AuditHeadRow.id).where(AuditHeadRow.id == 1).with_for_update())


def _rule(session: Session, job: JobRow, *, lock: bool = False) -> AfterRow | None:
    query = select(AfterRow).where(AfterRow.job_id == job.id)
    return session.scalar(query.with_for_update() if lock else query)


def _existing(session: Session, actor: Actor, ref: str) -> tuple[JobRow, AfterRow]:
    job = find_job(session, actor, ref, "edit")
    row = _rule(session, job, lock=True)
    if row is None:
        raise NotFound(f"{ref_of(job)} runs after no other job", job=ref_of(job))
    return job, row


def _sources(
    session: Session, actor: Actor, upstream: list[str], request: AfterRequest
) -> dict[str, dict[str, Any]]:
    """Return the sources as they are kept, with jobs by id. Raises `InvalidInput` for one that is wrong."""
    kept: dict[str, dict[str, Any]] = {}
    for name, source in request.sources.items():
        check_text("parameter", name, NAME)
        job = find_job(session, actor, source.job)
        if job.id not in upstream:
            raise InvalidInput(
                f"parameter {name!r} is taken from {ref_of(job)}, which the rule does not wait for; "
                "add it to the upstream jobs",
                parameter=name,
                job=ref_of(job),
            )
        if (source.take in ("artifact", "parameter")) != (source.name is not None):
            what = "needs" if source.name is None else "takes no"
            raise InvalidInput(f"parameter {name!r}: a source of kind {source.take!r} {what} `name`")
        kept[name] = source.model_copy(update={"job": job.id}).model_dump()
    return kept


def _shown(session: Session, actor: Actor, row: AfterRow, job: JobRow) -> After:
    upstream = upstream_of(session, row.id)
    jobs = session.scalars(select(JobRow).where(JobRow.id.in_(upstream)))
    refs = {one.id: ref_of(one) for one in jobs if actor.allows("read", one.namespace)}
    sources = {name: Source.model_validate(document) for name, document in row.sources.items()}
    return After(
        id=row.id,
        job=ref_of(job),
        after=sorted(refs.get(one, one) for one in upstream),
        needs=row.needs,  # type: ignore[arg-type]  # the store holds only what the model allows
        waits_for=row.waits_for,  # type: ignore[arg-type]
        period=row.period,  # type: ignore[arg-type]
        tz=row.tz,
        parameters=shown_by_trigger(row.parameters, job),
        sources={
            name: one.model_copy(update={"job": refs.get(one.job, one.job)}) for name, one in sources.items()
        },
        paused=row.paused,
        created_by=row.created_by,
        created_at=row.created_at,
    )
