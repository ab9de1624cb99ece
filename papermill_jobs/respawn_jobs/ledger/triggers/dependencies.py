"""Dependencies, by which a job runs after others: made, shown, paused and removed by people.

Dependencies change one at a time, so that two people cannot close a cycle together. What a completed period
makes is in `respawn_jobs.ledger.triggers.completion`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from respawn_jobs import cron
from respawn_jobs.access import Actor
from respawn_jobs.api.triggers import Dependency, DependencyRequest, Source, TriggerRule
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import check_not_archived, locked_job
from respawn_jobs.ledger.context.context import Context, find_job, find_version
from respawn_jobs.ledger.context.text_limits import NAME, ZONE, check_text
from respawn_jobs.ledger.runs.masked_parameters import shown_by_trigger
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.ledger.runs.run_parameters import check_fixed_parameters
from respawn_jobs.ledger.triggers.graph import check_no_cycle
from respawn_jobs.store.tables import AuditHeadRow, JobRow
from respawn_jobs.store.trigger_tables import DependencyRow, UpstreamJobRow


def set_dependency(context: Context, actor: Actor, request: DependencyRequest) -> Dependency:
    """Let a job run after others; see `TriggerService.set_dependency`.

    A dependency that is replaced keeps its id: a period that has made its run makes no other.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` for the job and `read` for those before it.
        request: the job, the jobs that it runs after, the rule, the period and its time zone, and the
            parameters.

    Raises:
        InvalidInput: it would run after itself, or period, zone or parameters cannot be used.
        NotFound, Forbidden: see `find_job`.
        Conflict: the job is archived.
    """
    check_text("time zone", request.tz, ZONE)
    cron.check("0 0 * * *", request.tz)
    with context.database.session(write=True) as session:
        job = find_job(session, actor, request.job, "edit")
        check_not_archived(job)
        upstream = [find_job(session, actor, ref) for ref in request.upstream]
        _take_turns(session, [job, *upstream])
        ids = list(dict.fromkeys(one.id for one in upstream))
        check_no_cycle(session, actor, job, ids)
        sources = _sources(session, actor, ids, request)
        fixed = check_fixed_parameters(find_version(session, job), request.parameters, list(sources))
        row = _dependency(session, job)
        if row is None:
            row = DependencyRow(id=new_id("dep"), job_id=job.id)
            session.add(row)
        row.trigger_rule, row.period, row.tz = request.trigger_rule.value, request.period, request.tz
        row.parameters, row.sources, row.paused = fixed, sources, False
        row.created_by, row.created_at = actor.name, context.clock()
        session.flush()
        session.execute(delete(UpstreamJobRow).where(UpstreamJobRow.dependency_id == row.id))
        session.add_all(UpstreamJobRow(dependency_id=row.id, job_id=one) for one in ids)
        trail.write(
            context, session, actor.name, "set_dependency", job.namespace, row.id,
            job=ref_of(job), upstream=[ref_of(one) for one in upstream],
            trigger_rule=row.trigger_rule, period=row.period, tz=row.tz,
        )  # fmt: skip
        session.flush()
        return _shown(session, actor, row, job)


def remove_dependency(context: Context, actor: Actor, ref: str) -> None:
    """Remove a job's dependency; its runs stay.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        ref: the job, as `find_job` takes it.

    Raises:
        NotFound, Forbidden: see `find_job`; or the job has no dependency.
    """
    with context.database.session(write=True) as session:
        job, row = _existing(session, actor, ref)
        session.execute(delete(UpstreamJobRow).where(UpstreamJobRow.dependency_id == row.id))
        session.delete(row)
        trail.write(context, session, actor.name, "remove_dependency", job.namespace, row.id, job=ref_of(job))


def pause(context: Context, actor: Actor, ref: str, *, paused: bool) -> Dependency:
    """Let a job's dependency rest, or go on.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        ref: the job, as `find_job` takes it.
        paused: whether it rests.

    Raises:
        NotFound, Forbidden: see `find_job`; or the job has no dependency.
    """
    with context.database.session(write=True) as session:
        job, row = _existing(session, actor, ref)
        if row.paused != paused:
            row.paused = paused
            action = "pause" if paused else "unpause"
            trail.write(context, session, actor.name, action, job.namespace, row.id, job=ref_of(job))
            session.flush()
        return _shown(session, actor, row, job)


def dependency_of(session: Session, actor: Actor, job: JobRow) -> Dependency | None:
    """Return the dependency of a job that the actor may read.

    Args:
        session: the caller's transaction.
        actor: who asks.
        job: the job.
    """
    row = _dependency(session, job)
    return None if row is None else _shown(session, actor, row, job)


def upstream_of(session: Session, dependency_id: str) -> list[str]:
    """Return the ids of the jobs that a dependency waits for."""
    query = select(UpstreamJobRow.job_id).where(UpstreamJobRow.dependency_id == dependency_id)
    return list(session.scalars(query.order_by(UpstreamJobRow.job_id)))


def _take_turns(session: Session, jobs: list[JobRow]) -> None:
    """Let one dependency change at a time, by the row that each change writes at its end: the audit's head.

    The jobs and the dependency are locked before it, as everywhere: whoever holds one may wait for the head.
    """
    for one in sorted({job.id for job in jobs}):
        if one == jobs[0].id:
            locked_job(session, one)  # its current version stays what it is until the dependency is there
        else:
            other = select(JobRow.id).where(JobRow.id == one)
            session.scalar(other.with_for_update(read=True, key_share=True))
    _dependency(session, jobs[0], lock=True)
    session.scalar(select(AuditHeadRow.id).where(AuditHeadRow.id == 1).with_for_update())


def _dependency(session: Session, job: JobRow, *, lock: bool = False) -> DependencyRow | None:
    query = select(DependencyRow).where(DependencyRow.job_id == job.id)
    return session.scalar(query.with_for_update() if lock else query)


def _existing(session: Session, actor: Actor, ref: str) -> tuple[JobRow, DependencyRow]:
    job = find_job(session, actor, ref, "edit")
    row = _dependency(session, job, lock=True)
    if row is None:
        raise NotFound(f"{ref_of(job)} runs after no other job", job=ref_of(job))
    return job, row


def _sources(
    session: Session, actor: Actor, upstream: list[str], request: DependencyRequest
) -> dict[str, dict[str, Any]]:
    """Return the sources as they are kept, with jobs by id. Raises `InvalidInput` for one that is wrong."""
    kept: dict[str, dict[str, Any]] = {}
    for name, source in request.sources.items():
        check_text("parameter", name, NAME)
        job = find_job(session, actor, source.job)
        if job.id not in upstream:
            raise InvalidInput(
                f"parameter {name!r} is taken from {ref_of(job)}, which is not among the upstream jobs; "
                "add it to them",
                parameter=name,
                job=ref_of(job),
            )
        if (source.take in ("artifact", "parameter")) != (source.name is not None):
            what = "needs" if source.name is None else "takes no"
            raise InvalidInput(f"parameter {name!r}: a source of kind {source.take!r} {what} `name`")
        kept[name] = source.model_copy(update={"job": job.id}).model_dump()
    return kept


def _shown(session: Session, actor: Actor, row: DependencyRow, job: JobRow) -> Dependency:
    upstream = upstream_of(session, row.id)
    jobs = session.scalars(select(JobRow).where(JobRow.id.in_(upstream)))
    refs = {one.id: ref_of(one) for one in jobs if actor.allows("read", one.namespace)}
    sources = {name: Source.model_validate(document) for name, document in row.sources.items()}
    return Dependency(
        id=row.id,
        job=ref_of(job),
        upstream=sorted(refs.get(one, one) for one in upstream),
        trigger_rule=TriggerRule(row.trigger_rule),
        period=row.period,  # type: ignore[arg-type]  # the store holds only what the model allows
        tz=row.tz,
        parameters=shown_by_trigger(row.parameters, job),
        sources={
            name: one.model_copy(update={"job": refs.get(one.job, one.job)}) for name, one in sources.items()
        },
        paused=row.paused,
        created_by=row.created_by,
        created_at=row.created_at,
    )
