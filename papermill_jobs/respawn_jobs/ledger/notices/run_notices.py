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
from respawn_jobs.ledger.capacity.suspension import locked_job
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.runs.outbox import claim, ended
from respawn_jobs.logs import about
from respawn_jobs.model.notices import Kind, Notice
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.notebook.document import read_notebook, title
from respawn_jobs.redact import last_line, shown
from respawn_jobs.store.service_tables import NoticeRow, RunOutboxRow
from respawn_jobs.store.tables import JobRow, RunRow, ScheduleRow

logger = logging.getLogger(__name__)
LINE = 300
"""Characters of an error's line that a notice has."""
OLDEST = timedelta(days=1)
"""What ended longer ago makes no notice, and what could not be sent for so long is given up."""
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
            except Exception:  # whatever one run holds, people must be notified of the others
                logger.exception("the notices of %s could not be written; they are tried again", run_id)
                _put_back(context, run_id)
    return seen


def add(context: Context, session: Session, job: JobRow, kind: Kind, key: str, notice: Notice) -> int:
    """Write a notice for each channel of a job, unless it is there; return how many were written.

    The job's row must be locked by this transaction (`locked_job`).

    Args:
        context: the ledger's surroundings.
        session: the caller's transaction; it writes.
        job: the job.
        kind: what the notice is about.
        key: what it is about, such as a run; with the channel it makes one notice, however often it is asked
            for.
        notice: its content.
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
            run_id=notice.run,
            at=now,
            details=notice.model_dump(mode="json"),
            not_before=_due(context, session, job, channel, notice) if kind == "failure" else now,
        )
        session.add(row)
        session.flush()
        count += 1
    return count


def zone_of(session: Session, job: JobRow, schedule_id: str | None = None) -> str:
    """Return the time zone of a job's times in notices: its schedule's, else its deadline's, else UTC.

    Args:
        session: reads the schedules.
        job: the job.
        schedule_id: id of the schedule that is meant; None or unknown for the job's oldest.
    """
    query = select(ScheduleRow.tz).where(ScheduleRow.job_id == job.id)
    first = (ScheduleRow.id == (schedule_id or "")).desc()
    found = session.scalar(query.order_by(first, ScheduleRow.created_at).limit(1))
    deadline = JobSettings.model_validate(job.settings).deadline
    return found or (deadline.tz if deadline else "UTC")


def described(context: Context, session: Session, run: RunRow, tz: str) -> Notice:
    """Return what there is to tell of a run, without its cell's source.

    Args:
        context: the ledger's surroundings.
        session: reads the run.
        run: the run.
        tz: the IANA time zone of its times.
    """
    error = run.error or {}
    value = last_line(str(error.get("value") or ""))
    name = str(error.get("name") or "")
    return Notice(
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
    """Write the notices of one run; False when another replica did or does."""
    with context.database.session() as session:
        run = session.get(RunRow, run_id)
        notice = None
        if run is not None:
            job = session.get_one(JobRow, run.job_id)
            notice = described(context, session, run, zone_of(session, job, run.schedule_id))
    if (
        run is not None
        and notice is not None
        and notice.cell is not None
        and JobSettings.model_validate(job.settings).notify
    ):
        # Read before anything is locked: blobs may be far away.
        notice = notice.model_copy(update={"title": _first_line(context, run, notice.cell)})
    with context.database.session(write=True) as session:
        if not claim(session, "notify", run_id):
            return False
        if run is None or notice is None:  # retention was quicker
            return True
        if run.finished_at is None or run.finished_at > context.clock() - OLDEST:
            _write(context, session, locked_job(session, run.job_id), notice)
    context.observer.run_ended(run.state)
    return True


def _write(context: Context, session: Session, job: JobRow, notice: Notice) -> None:
    if notice.state in _FAILURES:
        add(context, session, job, "failure", f"failure:{notice.run}", notice)
    elif notice.state == RunState.SUCCEEDED.value:
        for channel in dict.fromkeys(JobSettings.model_validate(job.settings).notify):
            _recover(context, session, job, channel, notice)


def _recover(context: Context, session: Session, job: JobRow, channel: str, notice: Notice) -> None:
    """Notify a channel that a job works again, when its last notice was a failure."""
    trouble = _latest(session, job, channel, ("failure", "deadline", "recovery"))
    if trouble is None or trouble.kind == "recovery":
        return
    was = Notice.model_validate(trouble.details)
    notice = notice.model_copy(update={"before": trouble.at, "deadline": was.deadline})
    session.add(
        NoticeRow(
            key=f"recovery:{trouble.id}",
            job_id=job.id,
            channel=channel,
            kind="recovery",
            run_id=notice.run,
            at=context.clock(),
            details=notice.model_dump(mode="json"),
            # Not before the failures that wait to be sent as one.
            not_before=max(context.clock(), trouble.not_before),
        )
    )


def _due(context: Context, session: Session, job: JobRow, channel: str, notice: Notice) -> datetime:
    """Return when a failure's notice is due: at once, or together with others of the job."""
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
    return now + window if notice.backfill else now


def _latest(session: Session, job: JobRow, channel: str, kinds: Sequence[str]) -> NoticeRow | None:
    query = select(NoticeRow).where(
        NoticeRow.job_id == job.id, NoticeRow.channel == channel, NoticeRow.kind.in_(kinds)
    )
    return session.scalar(query.order_by(NoticeRow.id.desc()).limit(1))


def _first_line(context: Context, run: RunRow, cell: int) -> str:
    """Return the first line of a cell; empty without its notebook: the failure makes a notice anyway."""
    if run.skeleton is None:
        return ""
    try:
        notebook = read_notebook(context.blobs.get(run.skeleton).decode())
        return shown(title(notebook.cells[cell]), LINE)
    except (RespawnError, IndexError) as error:
        logger.warning("the source of cell %d of %s could not be read: %s", cell, run.id, error)
        return ""


def _put_back(context: Context, run_id: str) -> None:
    with context.database.session(write=True) as session:
        mine = (RunOutboxRow.consumer == "notify", RunOutboxRow.run_id == run_id)
        session.execute(update(RunOutboxRow).where(*mine).values(at=context.clock()))
