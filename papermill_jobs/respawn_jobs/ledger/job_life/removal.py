"""Removing jobs, versions and runs for good, as people ask for it.

A job goes in pieces, so that no transaction is long: its runs first, the job itself last. Cut short, it
leaves an archived job with fewer runs, which can be removed again. Blobs go later, by
`blobs.garbage_collector`, unless others name them. The audit trail stays.
"""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger.attempts.cancellation import OPEN
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import locked_job
from respawn_jobs.ledger.context.context import Context, find_job, find_run, find_version
from respawn_jobs.ledger.job_life.job_changes import check_no_open_runs, editable, waiting_for
from respawn_jobs.ledger.runs import outbox
from respawn_jobs.ledger.runs.retention import AT_ONCE, remove_rows
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.service_tables import NoticeRow, RunOutboxRow
from respawn_jobs.store.tables import FormerNameRow, JobRow, RunRow, ScheduleRow, VersionRow
from respawn_jobs.store.trigger_tables import (
    BackfillRow,
    DependencyRow,
    HookCallRow,
    HookRow,
    SensorObjectRow,
    SensorRow,
    UpstreamJobRow,
)

_TRIGGERS = (ScheduleRow, DependencyRow, HookRow, SensorRow, BackfillRow)


def remove_job(context: Context, actor: Actor, ref: str) -> None:
    """Remove an archived job; see `JobLifeService.remove_job`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        ref: the job, as `find_job` takes it.

    Raises:
        Conflict: the job is not archived, runs of it have not ended, or another job runs after it.
        NotFound, Forbidden: see `find_job`.
    """
    with context.database.session() as session:
        job_id = find_job(session, actor, ref, "edit").id
    removed = 0
    while count := _remove_some_runs(context, actor, job_id):
        removed += count
    with context.database.session(write=True) as session:
        # As elsewhere a trigger is locked before its job: see `scheduling`, `sensors` and `backfills`.
        for table in _TRIGGERS:
            mine = select(table.id).where(table.job_id == job_id).order_by(table.id)
            session.scalars(mine.with_for_update()).all()
        job = _removable(session, actor, job_id)
        ref = ref_of(job)
        versions = session.scalar(
            select(func.count()).select_from(VersionRow).where(VersionRow.job_id == job_id)
        )
        namespace = job.namespace
        _remove_rest(session, job)
        trail.write(
            context, session, actor.name, "remove job", namespace, ref,
            id=job_id, runs=removed, versions=versions,
        )  # fmt: skip


def remove_version(context: Context, actor: Actor, ref: str, number: int) -> None:
    """Remove a version; see `JobLifeService.remove_version`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        ref: the job, as `find_job` takes it.
        number: the version's number.

    Raises:
        Conflict: new runs use the version, or a run or another version rests on it.
        NotFound, Forbidden: see `find_job`.
    """
    with context.database.session(write=True) as session:
        job = editable(session, actor, ref)
        version = find_version(session, job, number)
        named = {"job": ref_of(job), "version": number}
        message = f"version {number} of {ref_of(job)} cannot be removed"
        if number == job.version:
            raise Conflict(f"{message}: new runs use it. Make another one current first", **named)
        run = session.scalar(
            select(RunRow.id).where(RunRow.job_id == job.id, RunRow.version_id == version.id).limit(1)
        )
        if run is not None:
            raise Conflict(f"{message}: {run} is a run of it. Remove its runs first", **named, run=run)
        child = select(VersionRow.number).where(VersionRow.job_id == job.id, VersionRow.parent == number)
        fix = session.scalar(child.order_by(VersionRow.number).limit(1))
        if fix is not None:
            raise Conflict(
                f"{message}: version {fix} was made from it. Remove that one first", **named, by=fix
            )
        job.numbered = max(job.numbered or 0, number)
        job.filed = None if job.filed == number else job.filed
        session.delete(version)
        trail.write(
            context, session, actor.name, "remove version", job.namespace, ref_of(job),
            version=number, notebook=version.notebook,
        )  # fmt: skip


def remove_run(context: Context, actor: Actor, run_id: str) -> None:
    """Remove an ended run; see `JobLifeService.remove_run`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        run_id: the run's id.

    Raises:
        Conflict: the run has not ended or is pinned, its end was not acted on yet, or a run that goes on
            from it has not ended.
        NotFound, Forbidden: see `find_run`.
    """
    with context.database.session(write=True) as session:
        _, found = find_run(session, actor, run_id, "edit")
        # The job before the run, as a resume locks them.
        job = locked_job(session, found.id)
        run, _ = find_run(session, actor, run_id, "edit", lock=True)
        _check_run(session, run)
        session.execute(delete(RunOutboxRow).where(RunOutboxRow.run_id == run_id))
        session.execute(delete(NoticeRow).where(NoticeRow.run_id == run_id))
        remove_rows(session, [run])
        if job.last_run == run_id:
            mine = select(RunRow.id).where(RunRow.job_id == job.id)
            job.last_run = session.scalar(mine.order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(1))
        trail.write(
            context, session, actor.name, "remove run", job.namespace, run_id,
            job=ref_of(job), version=run.version, state=run.state,
        )  # fmt: skip


def _check_run(session: Session, run: RunRow) -> None:
    if not RunState(run.state).final:
        raise Conflict(
            f"{run.id} cannot be removed: it is still {run.state}. Cancel it, or wait for its end",
            run=run.id,
            state=run.state,
        )
    if run.pinned:
        raise Conflict(f"{run.id} cannot be removed: it is pinned. Let it go first", run=run.id)
    if outbox.awaited(session, run.id):
        raise Conflict(
            f"{run.id} cannot be removed yet: its downstream jobs, or its notices, are still to be made. "
            "Try again in a moment",
            run=run.id,
        )
    following = select(RunRow.id).where(RunRow.resume_of == run.id, RunRow.state.in_(OPEN))
    other = session.scalar(following)
    if other is not None:
        raise Conflict(
            f"{run.id} cannot be removed: {other} continues from it, and has not ended", run=run.id, by=other
        )


def _removable(session: Session, actor: Actor, job_id: str) -> JobRow:
    """Lock a job that may be removed. Raises `Conflict` for one that is not."""
    job = locked_job(session, job_id)
    actor.require("edit", job.namespace, ref_of(job))
    if job.archived_at is None:
        raise Conflict(
            f"{ref_of(job)} is not archived: archive it first, then it can be removed", job=ref_of(job)
        )
    check_no_open_runs(session, job, "removed")
    waiting = waiting_for(session, actor, job)
    if waiting:
        raise Conflict(
            f"{ref_of(job)} cannot be removed: {', '.join(waiting)} runs after it. "
            "Change that dependency first",
            job=ref_of(job),
            by=waiting,
        )
    return job


def _remove_some_runs(context: Context, actor: Actor, job_id: str) -> int:
    with context.database.session(write=True) as session:
        job = _removable(session, actor, job_id)
        query = select(RunRow).where(RunRow.job_id == job_id).order_by(RunRow.created_at, RunRow.id)
        runs = session.scalars(query.limit(AT_ONCE).with_for_update()).all()
        if not runs:
            return 0
        ids = [run.id for run in runs]
        session.execute(delete(RunOutboxRow).where(RunOutboxRow.run_id.in_(ids)))
        session.execute(delete(NoticeRow).where(NoticeRow.run_id.in_(ids)))
        remove_rows(session, runs)
        job.last_run = None if job.last_run in ids else job.last_run
        trail.write(
            context, session, actor.name, "remove runs", job.namespace, ref_of(job),
            count=len(ids), runs=ids,
        )  # fmt: skip
        return len(ids)


def _remove_rest(session: Session, job: JobRow) -> None:
    """Remove a job that has no runs, with all that refers to it."""
    dependencies = select(DependencyRow.id).where(DependencyRow.job_id == job.id)
    session.execute(delete(UpstreamJobRow).where(UpstreamJobRow.dependency_id.in_(dependencies)))
    hooks = select(HookRow.id).where(HookRow.job_id == job.id)
    session.execute(delete(HookCallRow).where(HookCallRow.hook_id.in_(hooks)))
    sensors = select(SensorRow.id).where(SensorRow.job_id == job.id)
    session.execute(delete(SensorObjectRow).where(SensorObjectRow.sensor_id.in_(sensors)))
    for table in (*_TRIGGERS, NoticeRow, FormerNameRow, VersionRow):
        session.execute(delete(table).where(table.job_id == job.id))
    session.delete(job)
    session.flush()
