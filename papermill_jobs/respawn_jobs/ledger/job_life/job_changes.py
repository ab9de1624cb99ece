"""Which version new runs use, and names and archives of jobs.

run | archive       Both lock the job's row: a run that was made first is seen as open, and nothing is
                    archived; one that comes second is refused, or not made where no person asked for it.
trigger | restore   Whoever restores a job locks its schedules before its row, as the scheduler does.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.versions import CurrentRequest, JobChange
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.ledger.attempts.cancellation import OPEN
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import locked_job
from respawn_jobs.ledger.context.context import Context, find_job, find_version, take_name
from respawn_jobs.ledger.context.job_places import place_of
from respawn_jobs.ledger.jobs.catalog import check_job_name
from respawn_jobs.ledger.jobs.current_version import last_switch
from respawn_jobs.ledger.jobs.trigger_compatibility import broken_by, check_agreed
from respawn_jobs.ledger.namespaces.namespaces import restart_clocks
from respawn_jobs.ledger.runs.rows import jobs_of, ref_of
from respawn_jobs.ledger.triggers.graph import shown_name
from respawn_jobs.ledger.triggers.sensor_baseline import pass_over
from respawn_jobs.model.jobs import Job
from respawn_jobs.store.tables import FormerNameRow, JobRow, RunRow, ScheduleRow, VersionRow
from respawn_jobs.store.trigger_tables import DependencyRow, UpstreamJobRow
from respawn_kernels.counting import how_many


def make_current(context: Context, actor: Actor, ref: str, request: CurrentRequest) -> Job:
    """Let new runs use a version; see `JobLifeService.make_current`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        ref: the job, as `find_job` takes it.
        request: the version's number, the current one as the person saw it, and what they agree to.

    Raises:
        NotFound: there is no such job or version.
        InvalidInput: the kernel of the version is not installed.
        Conflict: another version is current than was seen, or triggers would break and nobody agreed to that.
    """
    with context.database.session() as session:
        found = find_job(session, actor, ref, "edit")
        version = find_version(session, found, request.version)
    context.check_kernel(version.kernel, version.lock, place_of(found))
    with context.database.session(write=True) as session:
        job = editable(session, actor, ref)
        if request.seen is not None and request.seen != job.version:
            raise Conflict(
                f"the current version of {ref_of(job)} is {job.version}, not {request.seen}"
                f"{_who_made(session, job)}",
                job=ref_of(job),
                current=job.version,
            )
        version = find_version(session, job, request.version)
        if version.number != job.version:
            broken = broken_by(session, job, find_version(session, job), version)
            check_agreed(ref_of(job), version.number, broken, request.agreed)
            before, job.version = job.version, version.number
            trail.write(
                context, session, actor.name, "make_current", job.namespace, ref_of(job),
                before=before, version=version.number, notebook=version.notebook,
                **({"agreed": request.agreed} if request.agreed else {}),
            )  # fmt: skip
            session.flush()
        return jobs_of(session, [job])[0]


def change_job(context: Context, actor: Actor, ref: str, change: JobChange) -> Job:
    """Rename a job, archive it or restore it; see `JobLifeService.change_job`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        ref: the job, as `find_job` takes it.
        change: its new name, without the namespace, and whether it is archived; None of either leaves it.

    Raises:
        InvalidInput: the name cannot be a job's.
        Conflict: another job has the name, or runs of the job have not ended.
        NotFound, Forbidden: see `find_job`.
    """
    if change.name is not None:
        check_job_name(change.name)
    if change.archived is False:
        with context.database.session() as session:
            job_id = find_job(session, actor, ref, "edit").id
        pass_over(context, job_id)
    try:
        with context.database.session(write=True) as session:
            if change.archived is False:
                _lock_schedules(session, find_job(session, actor, ref, "edit"))
            job = editable(session, actor, ref)
            if change.name is not None and change.name != job.name:
                _rename(context, session, actor, job, change.name)
            if change.archived is True and job.archived_at is None:
                _archive(context, session, actor, job)
            elif change.archived is False and job.archived_at is not None:
                _restore(context, session, actor, job)
            session.flush()
            session.expire(job)
            return jobs_of(session, [job])[0]
    except IntegrityError as error:
        raise Conflict(
            f"another job was given the name {change.name} at the same moment; try again", name=change.name
        ) from error


def editable(session: Session, actor: Actor, ref: str) -> JobRow:
    """Lock a job that the actor may edit; see `suspension.locked_job`. Raises `NotFound` or `Forbidden`.

    Args:
        session: the caller's transaction; it writes.
        actor: who asks; needs `edit` in the job's namespace.
        ref: the job, as `find_job` takes it.
    """
    job = locked_job(session, find_job(session, actor, ref, "edit").id)
    # Race: it was moved to another namespace since it was found.
    actor.require("edit", job.namespace, ref)
    return job


def check_no_open_runs(session: Session, job: JobRow, wanted: str) -> None:
    """Raise `Conflict`, saying how many and naming one, while runs of a job have not ended.

    Args:
        session: the caller's transaction.
        job: the job, locked by this transaction.
        wanted: what was to be done with it, as a participle, for the message.
    """
    still_open = (RunRow.job_id == job.id, RunRow.state.in_(OPEN))
    count = session.scalar(select(func.count()).select_from(RunRow).where(*still_open)) or 0
    if count:
        one = session.scalar(select(RunRow.id).where(*still_open).order_by(RunRow.created_at).limit(1))
        some = (
            f"{one} has not ended"
            if count == 1
            else f"{how_many(count, 'run has', 'runs have')} not ended, {one} is one of them"
        )
        raise Conflict(
            f"{ref_of(job)} cannot be {wanted}: {some}. Cancel what is open, or wait for its end",
            job=ref_of(job),
            open=count,
        )


def waiting_for(session: Session, actor: Actor, job: JobRow) -> list[str]:
    """Return the names of other jobs that run after a job, as far as the actor may see them.

    Args:
        session: the caller's transaction.
        actor: who asks.
        job: the job that others run after.
    """
    query = select(DependencyRow.job_id).join(
        UpstreamJobRow, UpstreamJobRow.dependency_id == DependencyRow.id
    )
    waiting = session.scalars(query.where(UpstreamJobRow.job_id == job.id, DependencyRow.job_id != job.id))
    return sorted(shown_name(session, actor, one) for one in waiting.all())


def _rename(context: Context, session: Session, actor: Actor, job: JobRow, name: str) -> None:
    if name.startswith("~") and not job.name.startswith("~"):
        raise InvalidInput(
            f"{name!r} begins as the jobs of `respawn run FILE` do: leave out the '~'", name=name
        )
    taken = select(JobRow.id).where(JobRow.namespace == job.namespace, JobRow.name == name)
    if session.scalar(taken) is not None:
        raise Conflict(
            f"{job.namespace}/{name} is another job already: choose another name, or rename that one first",
            job=f"{job.namespace}/{name}",
        )
    before, former = ref_of(job), job.name
    take_name(session, job.namespace, name)
    job.name = name
    session.flush()
    session.merge(FormerNameRow(namespace=job.namespace, name=former, job_id=job.id))
    trail.write(context, session, actor.name, "rename", job.namespace, ref_of(job), before=before)


def _archive(context: Context, session: Session, actor: Actor, job: JobRow) -> None:
    check_no_open_runs(session, job, "archived")
    job.archived_at, job.archived_by = context.clock(), actor.name
    trail.write(
        context, session, actor.name, "archive", job.namespace, ref_of(job),
        waited_for_by=waiting_for(session, actor, job),
    )  # fmt: skip


def _restore(context: Context, session: Session, actor: Actor, job: JobRow) -> None:
    job.archived_at, job.archived_by = None, None
    session.flush()
    restart_clocks(context, session, JobRow.id == job.id)
    trail.write(context, session, actor.name, "restore", job.namespace, ref_of(job))


def _lock_schedules(session: Session, job: JobRow) -> None:
    query = select(ScheduleRow.id).where(ScheduleRow.job_id == job.id).order_by(ScheduleRow.id)
    session.scalars(query.with_for_update()).all()


def _who_made(session: Session, job: JobRow) -> str:
    """Return who made a job's current version what it is, as far as is recorded."""
    last = last_switch(session, job)
    if last is not None:
        return f": {last.actor} made it so at {last.at:%Y-%m-%d %H:%M:%S} UTC"
    made = select(VersionRow.created_by).where(VersionRow.job_id == job.id, VersionRow.number == job.version)
    return f", made by {session.scalar(made)}"
