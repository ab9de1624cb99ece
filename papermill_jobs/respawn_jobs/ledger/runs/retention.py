"""Retention: ended runs beyond what their job keeps are removed with all their rows, by any replica.

Never removed: a run that has not ended or is pinned, the job's newest, one that an open run resumes, one that
a loop of the service has yet to act on, and one whose state somebody opened within the last day. A job that
others run after keeps its runs for two days, because a period may still wait for its other jobs. The blobs of
a removed run go later, by `blobs.garbage_collector`, unless others name them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, or_, select
from sqlalchemy.orm import Session, aliased

from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.blobs.registry import insert_new
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.service_tables import NoticeRow, RunOutboxRow
from respawn_jobs.store.tables import (
    ArtifactBlobRow,
    ArtifactRow,
    AttemptRow,
    AuditRow,
    CellRow,
    CheckpointBlobRow,
    CheckpointRow,
    JobRow,
    RunRow,
)
from respawn_jobs.store.trigger_tables import BackfillRow, DependencyRow, TombstoneRow, UpstreamJobRow

logger = logging.getLogger(__name__)
ACTOR = "respawn"
"""The actor of records about removed runs."""
OPENED = timedelta(days=1)
"""How long a run stays after somebody opened its state."""
UPSTREAM = timedelta(days=2)
"""How long the runs of a job stay that others run after."""
UNSENT = timedelta(days=1)
"""How long a run stays for a notice of it that has not been sent."""
NOTICES = timedelta(days=30)
BACKFILLS = timedelta(days=90)
AT_ONCE = 100
"""How many runs one transaction removes."""
_FINAL = [state.value for state in RunState if state.final]
_OPEN = [state.value for state in RunState if not state.final]
_ROWS = (ArtifactBlobRow, ArtifactRow, CheckpointBlobRow, CheckpointRow, CellRow, AttemptRow)
"""What belongs to a run, each before what it refers to."""


def remove_old_runs(context: Context) -> dict[str, int]:
    """Remove up to a hundred runs of each job that its settings no longer keep.

    A job that makes trouble is logged, and holds up no other. Raises `Unavailable` when the database is away.

    Returns:
        How many runs were removed, by job.
    """
    kept = JobRow.settings["keep_runs"].as_integer(), JobRow.settings["keep_days"].as_float()
    with context.database.session() as session:
        query = select(JobRow.id).where(or_(*(setting.is_not(None) for setting in kept)))
        jobs = session.scalars(query.order_by(JobRow.id)).all()
    removed: dict[str, int] = {}
    for job_id in jobs:
        try:
            job, count = _remove_of_job(context, job_id)
        except Unavailable:
            raise
        except Exception:  # whatever one job holds, the others' runs must go
            logger.exception("old runs of %s could not be removed", job_id)
        else:
            removed |= {job: count} if count else {}
    return removed


def remove_old_records(context: Context) -> None:
    """Remove what only served runs long ago: sent notices, ended backfills, tombstones."""
    now = context.clock()
    for condition in (
        delete(NoticeRow).where(NoticeRow.sent_at < now - NOTICES),
        delete(NoticeRow).where(NoticeRow.sent_at.is_(None), NoticeRow.at < now - NOTICES),
        delete(BackfillRow).where(BackfillRow.finished_at < now - BACKFILLS, BackfillRow.state != "active"),
        delete(TombstoneRow).where(TombstoneRow.trigger_id.not_in(select(DependencyRow.id))),
    ):
        with context.database.session(write=True) as session:
            session.execute(condition)


def _remove_of_job(context: Context, job_id: str) -> tuple[str, int]:
    """Remove old runs of one job in one transaction, with one audit record."""
    now = context.clock()
    with context.database.session() as session:
        job = session.get_one(JobRow, job_id)
        wanted = _beyond(session, job, JobSettings.model_validate(job.settings), now)
    if not wanted:
        return ref_of(job), 0
    with context.database.session(write=True) as session:
        query = select(RunRow).where(RunRow.id.in_(wanted), *_removable(job_id, now))
        runs = session.scalars(query.order_by(RunRow.id).with_for_update(skip_locked=True, of=RunRow)).all()
        if runs:
            remove_rows(session, runs)
            trail.write(
                context, session, ACTOR, "remove runs", job.namespace, ref_of(job),
                count=len(runs), runs=[run.id for run in runs],
            )  # fmt: skip
    return ref_of(job), len(runs)


def _beyond(session: Session, job: JobRow, settings: JobSettings, now: datetime) -> Sequence[str]:
    """Return the ids of runs that the settings do not keep, oldest first; a bounded number."""
    mine = (RunRow.job_id == job.id, RunRow.state.in_(_FINAL), RunRow.pinned.is_(False))
    newest = select(RunRow.created_at).where(*mine).order_by(RunRow.created_at.desc())
    beyond: list[ColumnElement[bool]] = []
    if settings.keep_runs is not None:
        last_kept = session.scalar(newest.offset(settings.keep_runs - 1).limit(1))
        if last_kept is not None:
            beyond.append(RunRow.created_at < last_kept)
    if settings.keep_days is not None:
        beyond.append(RunRow.finished_at < now - timedelta(days=settings.keep_days))
    if not beyond:
        return []
    query = select(RunRow.id).where(or_(*beyond), *_removable(job.id, now))
    return session.scalars(query.order_by(RunRow.created_at, RunRow.id).limit(AT_ONCE)).all()


def _removable(job_id: str, now: datetime) -> list[ColumnElement[bool]]:
    """Return the conditions under which a run may be removed at all."""
    later, resuming = aliased(RunRow), aliased(RunRow)
    upstream = exists().where(UpstreamJobRow.job_id == RunRow.job_id)
    return [
        RunRow.job_id == job_id,
        RunRow.state.in_(_FINAL),
        RunRow.pinned.is_(False),
        RunRow.id.not_in(select(JobRow.last_run).where(JobRow.id == job_id, JobRow.last_run.is_not(None))),
        exists().where(later.job_id == job_id, later.state.in_(_FINAL), later.created_at > RunRow.created_at),
        ~exists().where(resuming.resume_of == RunRow.id, resuming.state.in_(_OPEN)),
        ~exists().where(RunOutboxRow.run_id == RunRow.id),
        ~exists().where(
            NoticeRow.run_id == RunRow.id, NoticeRow.sent_at.is_(None), NoticeRow.at > now - UNSENT
        ),
        ~exists().where(
            AuditRow.subject == RunRow.id,
            AuditRow.action.in_(("debug", "export")),
            AuditRow.at > now - OPENED,
        ),
        or_(RunRow.finished_at < now - UPSTREAM, ~upstream),
    ]


def remove_rows(session: Session, runs: Sequence[RunRow]) -> None:
    """Remove runs with what belongs to them; a period of a dependency that made its run makes no other."""
    ids = [run.id for run in runs]
    tombstones = [
        {"trigger_id": run.trigger_id, "idempotency_key": run.idempotency_key}
        for run in runs
        # A dependency looks at a period whenever a run in it ends; all other triggers only ever move on.
        if run.trigger == "dependency" and run.trigger_id is not None and run.idempotency_key is not None
    ]
    if tombstones:
        insert_new(session, TombstoneRow, tombstones)
    for table in _ROWS:
        session.execute(delete(table).where(table.run_id.in_(ids)))
    session.execute(delete(RunRow).where(RunRow.id.in_(ids)))
