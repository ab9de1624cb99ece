"""Rows as the wire types that `models` defines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.ledger.capacity.suspension import idle
from respawn_jobs.ledger.capacity.wait_reasons import waiting
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.context.job_places import place_of
from respawn_jobs.ledger.runs.masked_parameters import (
    declared_by_job,
    shown,
    shown_by_run,
    shown_by_trigger,
)
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.jobs import GitState, Job, Schedule, Version
from respawn_jobs.model.kernels import JobPlace
from respawn_jobs.model.runs import Attempt, CellRecord, CellState, Run, RunState
from respawn_jobs.model.settings import Cause, JobSettings
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import (
    AttemptRow,
    CellRow,
    CheckpointRow,
    JobRow,
    RunRow,
    ScheduleRow,
    VersionRow,
)


def ref_of(job: JobRow) -> str:
    """Return the full name of a job."""
    return f"{job.namespace}/{job.name}"


def version_of(row: VersionRow, job: JobRow, context: Context | None = None) -> Version:
    """Return a version.

    Args:
        row: the version.
        job: its job.
        context: the ledger's surroundings, for a newer build of its kernel; None to leave that out.
    """
    return Version(
        id=row.id,
        job=ref_of(job),
        number=row.number,
        notebook=row.notebook,
        kernel=row.kernel,
        language=row.language,
        lock=row.lock,
        newer_lock=(context.newer_lock(row.kernel, row.lock, place_of(job)) if context is not None else None),
        directory=row.directory,
        files=row.files,
        bundle=row.bundle,
        source=row.source,
        git=GitState.model_validate(row.git) if row.git else None,
        parameters=row.parameters,
        created_by=row.created_by,
        created_at=row.created_at,
        parent=row.parent,
        authors=row.authors or [],
    )


def schedule_of(row: ScheduleRow, job: JobRow, shown: dict[str, Any] | None = None) -> Schedule:
    """Return a schedule; `shown` are its parameters without secrets, where they are known already.

    Args:
        row: the schedule.
        job: its job.
        shown: its parameters without secrets; None to take the secrets out here.
    """
    return Schedule(
        id=row.id,
        job=ref_of(job),
        cron=row.cron,
        tz=row.tz,
        paused=row.paused,
        missed=row.missed,  # type: ignore[arg-type]  # the store holds only what the model allows
        max_missed=row.max_missed,
        parameters=shown_by_trigger(row.parameters, job) if shown is None else shown,
        next_due=row.next_due,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def jobs_of(session: Session, rows: Sequence[JobRow]) -> list[Job]:
    """Return jobs with their schedules and last runs."""
    return [job for some in in_pieces(rows) for job in _jobs_of(session, some)]


def _jobs_of(session: Session, rows: Sequence[JobRow]) -> list[Job]:
    ids = [row.id for row in rows]
    schedules: dict[str, list[ScheduleRow]] = {}
    for schedule in session.scalars(
        select(ScheduleRow)
        .where(ScheduleRow.job_id.in_(ids))
        .order_by(ScheduleRow.created_at, ScheduleRow.id)
    ):
        schedules.setdefault(schedule.job_id, []).append(schedule)
    declared = declared_by_job(session, rows) if any(one.parameters for one in _flat(schedules)) else {}
    wanted = [row.last_run for row in rows if row.last_run]
    last = session.scalars(select(RunRow).where(RunRow.id.in_(wanted))).all()
    last_runs = {run.job: run for run in runs_of(session, last)}
    suspended = idle(session)
    return [
        Job(
            id=row.id,
            namespace=row.namespace,
            name=row.name,
            version=row.version,
            settings=JobSettings.model_validate(row.settings),
            created_by=row.created_by,
            created_at=row.created_at,
            schedules=[
                schedule_of(schedule, row, shown(schedule.parameters, declared.get(row.id, [])))
                for schedule in schedules.get(row.id, [])
            ],
            last_run=last_runs.get(ref_of(row)),
            suspended=suspended.get(row.namespace),
            archived_at=row.archived_at,
            archived_by=row.archived_by,
        )
        for row in rows
    ]


def _flat(schedules: dict[str, list[ScheduleRow]]) -> list[ScheduleRow]:
    return [schedule for some in schedules.values() for schedule in some]


def runs_of(session: Session, rows: Sequence[RunRow], context: Context | None = None) -> list[Run]:
    """Return runs, in the order of the rows, each knowing the run that resumes it.

    With a context, those that are queued say what they wait for, and all whether their kernel has a newer
    build.

    Args:
        session: the caller's transaction.
        rows: the runs.
        context: the ledger's surroundings, for what is said of now; None to leave that out.
    """
    return [run for some in in_pieces(rows) for run in _runs_of(session, some, context)]


def _runs_of(session: Session, rows: Sequence[RunRow], context: Context | None) -> list[Run]:
    reasons = waiting(context, session, rows) if context is not None else {}
    builds = {_build(row) for row in rows} if context is not None else set()
    newer = {build: context.newer_lock(*build) for build in builds} if context is not None else {}
    named = select(JobRow.id, JobRow.namespace, JobRow.name)
    jobs = {
        job_id: f"{namespace}/{name}"
        for job_id, namespace, name in session.execute(
            named.where(JobRow.id.in_({row.job_id for row in rows}))
        )
    }
    resumed = session.execute(
        select(RunRow.resume_of, RunRow.id).where(RunRow.resume_of.in_([row.id for row in rows]))
    )
    origins = {row.origin for row in rows if row.origin is not None}
    kept = set(session.scalars(select(RunRow.id).where(RunRow.id.in_(origins)))) if origins else set()
    parameters = shown_by_run(session, rows)
    resumed_by = {origin: run_id for origin, run_id in resumed if origin is not None}
    return [
        Run(
            id=row.id,
            job=jobs[row.job_id],
            version=row.version,
            kernel=row.kernel,
            lock=row.lock,
            newer_lock=newer.get(_build(row)),
            state=RunState(row.state),
            parameters=parameters[row.id],
            trigger=row.trigger,  # type: ignore[arg-type]  # the store holds only what the model allows
            trigger_id=row.trigger_id,
            schedule=row.schedule_id,
            due_at=row.due_at,
            logical_date=row.logical_date,
            priority=row.priority,
            queue=row.queue,
            not_before=row.not_before,
            waiting=reasons.get(row.id),
            pinned=row.pinned,
            created_by=row.created_by,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            attempt=row.attempt,
            cells_total=row.cells_total,
            cells_done=row.cells_done,
            error=row.error,  # type: ignore[arg-type]  # pydantic reads the JSON
            notebook=row.notebook,
            origin=row.origin,
            origin_kept=row.origin is None or row.origin in kept,
            imported=row.imported,  # type: ignore[arg-type]  # pydantic reads the JSON
            authors=row.authors or [],
            resumed_by=resumed_by.get(row.id),
            resume_from=row.resume_from,
            cancel_requested=row.cancel_requested,
            revision=row.revision,
        )
        for row in rows
    ]


def _build(row: RunRow) -> tuple[str, str | None, JobPlace]:
    """Return what tells which build of its kernel a run has, and where a newer one would be."""
    return row.kernel, row.lock, JobPlace(row.namespace, row.settings.get("profile"))


def run_of(session: Session, row: RunRow, context: Context | None = None) -> Run:
    """Return one run; see `runs_of`.

    Args:
        session: the caller's transaction.
        row: the run.
        context: the ledger's surroundings, for what is said of now; None to leave that out.
    """
    return runs_of(session, [row], context)[0]


def cell_of(row: CellRow, checkpoint: str | None, *, evidence: bool = True) -> CellRecord:
    """Return a cell record.

    Args:
        row: the cell; `records.cells_of` reads its evidence when asked to.
        checkpoint: the manifest taken at its boundary.
        evidence: whether what was seen of it goes along.
    """
    return CellRecord(
        index=row.index,
        cell_id=row.cell_id,
        state=CellState(row.state),
        source_hash=row.source_hash,
        tags=row.tags,
        execution_count=row.execution_count,
        started_at=row.started_at,
        finished_at=row.finished_at,
        seconds=row.seconds,
        outputs=row.outputs,
        checkpoint=checkpoint,
        note=row.note,
        parameters_hash=row.parameters_hash,
        lock=row.lock,
        evidence=row.evidence if evidence else None,  # type: ignore[arg-type]  # pydantic reads the JSON
        cost=row.cost,  # type: ignore[arg-type]  # pydantic reads the JSON
        blocked_since=row.blocked_since,
    )


def checkpoint_of(row: CheckpointRow) -> Checkpoint:
    """Return a checkpoint."""
    return Checkpoint(
        cell=row.cell,
        manifest=row.manifest,
        variables=row.variables,
        size=row.size,
        new_bytes=row.new_bytes,
        seconds=row.seconds,
        unstored=row.unstored,
        unchecked=row.unchecked or [],
    )


def attempt_of(row: AttemptRow) -> Attempt:
    """Return an attempt."""
    return Attempt(
        id=row.id,
        number=row.number,
        state=RunState(row.state),
        executor=row.executor,
        profile=row.profile,
        replica=row.replica,
        cause=Cause(row.cause) if row.cause else None,
        note=row.note,
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        finished_at=row.finished_at,
        error=row.error,  # type: ignore[arg-type]  # pydantic reads the JSON
        hash_seed=row.hash_seed,
        limits=row.limits,  # type: ignore[arg-type]  # pydantic reads the JSON
        kernel_start=row.kernel_start,  # type: ignore[arg-type]
        directory=row.directory,
    )
