"""Notices of failures and recoveries: written once for each ended run and channel, sent by `sending`.

A run that ends is handed over in the transaction that ends it (`ends`), and taken in the one that writes what
is to be told, so nothing is forgotten and nothing is written twice, with any number of replicas. The first
failure of a job is due at once. Further ones wait for the end of the channel's window and become one message.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from respawn_jobs.errors import RespawnError, Unavailable
from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.ends import ended, take
from respawn_jobs.ledger.suspension import locked_job
from respawn_jobs.logs import about
from respawn_jobs.models import JobSettings, RunState
from respawn_jobs.notebooks import read_notebook, title
from respawn_jobs.notices import Kind, Told
from respawn_jobs.redact import last_line, shown
from respawn_jobs.store.service_tables import NoticeRow, RunEndRow
from respawn_jobs.store.tables import JobRow, RunRow, ScheduleRow

logger = logging.getLogger(__name__)
LINE = 300
"""Characters of an error's line that are told."""
OLDEST = timedelta(days=1)
"""What ended longer ago is told to nobody, and what could not be sent for so long is given up."""
_FAILURES = (RunState.FAILED.value, RunState.TIMED_OUT.value, RunState.LOST.value)


def collect(context: Context, limit: int = 100) -> list[str]:
    """Write the notices of runs that have ended, and return the runs' ids.

    A run that makes trouble is logged and put behind the others. Raises `Unavailable` when the database does
    not answer.
    """
    seen = []
    for run_id in ended(context, "notify", limit):
        with about(run=run_id):
            try:
                if _take(context, run_id):
                    seen.append(run_id)
            except Unavailable:
                raise
            except Exception:  # whatever one run holds, people must be told of the others
                logger.exception("what is to be told of %s could not be written; it is tried again", run_id)
                _put_back(context, run_id)
    return seen


def add(context: Context, session: Session, job: JobRow, kind: Kind, key: str, told: Told) -> int:
    """Write a notice for each channel of a job, unless it is there; return how many were written.

    The job's row must be locked by this transaction (`locked_job`).
    """
    count = 0
    for channel in dict.fromkeys(JobSettings.model_validate(job.settings).notify):
        full_key = f"{key}:{channel}"
        if session.scalar(select(NoticeRow.id).where(NoticeRow.key == full_key)) is not None:
            continue
        now = context.clock()
        row = NoticeRow(
            key=full_key,
            job_id=job.id,
            channel=channel,
            kind=kind,
            run_id=told.run,
            at=now,
            details=told.model_dump(mode="json"),
            not_before=_due(context, session, job, channel, told) if kind == "failure" else now,
        )
        session.add(row)
        session.flush()
        count += 1
    return count


def zone_of(session: Session, job: JobRow, schedule_id: str | None = None) -> str:
    """Return the zone in which a job's times are told: its schedule's, else its deadline's, else UTC."""
    query = select(ScheduleRow.tz).where(ScheduleRow.job_id == job.id)
    first = (ScheduleRow.id == (schedule_id or "")).desc()
    found = session.scalar(query.order_by(first, ScheduleRow.created_at).limit(1))
    deadline = JobSettings.model_validate(job.settings).deadline
    return found or (deadline.tz if deadline else "UTC")


def described(context: Context, session: Session, run: RunRow, tz: str) -> Told:
    """Return what there is to tell of a run, without its cell's source."""
    error = run.error or {}
    value = last_line(str(error.get("value") or ""))
    name = str(error.get("name") or "")
    return Told(
        run=run.id,
        state=run.state,
        cell=error.get("cell"),
        error=shown(f"{name}: {value}" if name and value else name or value, LINE),
        attempts=run.attempt,
        started=run.started_at,
        ended=run.finished_at,
        tz=tz,
        backfill=run.trigger == "backfill",
    )


def _take(context: Context, run_id: str) -> bool:
    """Write what is to be told of one run; False when another replica did or does."""
    with context.database.session() as session:
        run = session.get(RunRow, run_id)
        told = None
        if run is not None:
            job = session.get_one(JobRow, run.job_id)
            told = described(context, session, run, zone_of(session, job, run.schedule_id))
    if (
        run is not None
        and told is not None
        and told.cell is not None
        and JobSettings.model_validate(job.settings).notify
    ):
        # Read before anything is locked: blobs may be far away.
        told = told.model_copy(update={"title": _first_line(context, run, told.cell)})
    with context.database.session(write=True) as session:
        if not take(session, "notify", run_id):
            return False
        if run is None or told is None:  # retention was quicker
            return True
        if run.finished_at is None or run.finished_at > context.clock() - OLDEST:
            _write(context, session, locked_job(session, run.job_id), told)
    context.observer.run_ended(run.state)
    return True


def _write(context: Context, session: Session, job: JobRow, told: Told) -> None:
    if told.state in _FAILURES:
        add(context, session, job, "failure", f"failure:{told.run}", told)
    elif told.state == RunState.SUCCEEDED.value:
        for channel in dict.fromkeys(JobSettings.model_validate(job.settings).notify):
            _recover(context, session, job, channel, told)


def _recover(context: Context, session: Session, job: JobRow, channel: str, told: Told) -> None:
    """Tell a channel that a job works again, when the last thing it was told is that it did not."""
    trouble = _latest(session, job, channel, ("failure", "deadline", "recovery"))
    if trouble is None or trouble.kind == "recovery":
        return
    was = Told.model_validate(trouble.details)
    told = told.model_copy(update={"before": trouble.at, "deadline": was.deadline})
    session.add(
        NoticeRow(
            key=f"recovery:{trouble.id}",
            job_id=job.id,
            channel=channel,
            kind="recovery",
            run_id=told.run,
            at=context.clock(),
            details=told.model_dump(mode="json"),
            # Not before the failures that wait to be sent as one.
            not_before=max(context.clock(), trouble.not_before),
        )
    )


def _due(context: Context, session: Session, job: JobRow, channel: str, told: Told) -> datetime:
    """Return when a failure is told: at once, or together with others of the job."""
    now = context.clock()
    window = timedelta(seconds=context.channels.group_seconds(channel))
    last = session.scalar(
        select(func.max(NoticeRow.not_before)).where(
            NoticeRow.job_id == job.id, NoticeRow.channel == channel, NoticeRow.kind == "failure"
        )
    )
    if last is not None and last > now:
        return last
    if last is not None and last > now - window:
        return last + window
    return now + window if told.backfill else now


def _latest(session: Session, job: JobRow, channel: str, kinds: Sequence[str]) -> NoticeRow | None:
    query = select(NoticeRow).where(
        NoticeRow.job_id == job.id, NoticeRow.channel == channel, NoticeRow.kind.in_(kinds)
    )
    return session.scalar(query.order_by(NoticeRow.id.desc()).limit(1))


def _first_line(context: Context, run: RunRow, cell: int) -> str:
    """Return the first line of a cell; empty when the notebook cannot be had: the failure is told anyway."""
    if run.skeleton is None:
        return ""
    try:
        notebook = read_notebook(context.blobs.get(run.skeleton).decode())
        return shown(title(notebook.cells[cell]), LINE)
    except (RespawnError, IndexError) as error:
        logger.warning("the source of cell %d of %s cannot be told: %s", cell, run.id, error)
        return ""


def _put_back(context: Context, run_id: str) -> None:
    with context.database.session(write=True) as session:
        mine = (RunEndRow.consumer == "notify", RunEndRow.run_id == run_id)
        session.execute(update(RunEndRow).where(*mine).values(at=context.clock()))
