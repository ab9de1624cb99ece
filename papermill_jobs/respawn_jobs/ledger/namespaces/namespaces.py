"""Namespaces: which are at work, what they hold, and how that goes from one to another.

A namespace is its name on jobs, runs and held blobs. A row says more only where it must: whose the name is by
the hub's identity of its user, or that nothing of it runs. What is not active keeps all its triggers and
queued runs as they are; whatever makes or starts runs passes over it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from respawn_jobs import cron
from respawn_jobs.access import Actor
from respawn_jobs.api.namespaces import Namespace
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger.capacity.suspension import ACTIVE, SUSPENDED
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.notices.deadlines import next_deadline
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.service_tables import NamespaceRow
from respawn_jobs.store.tables import (
    AuditHeadRow,
    FormerNameRow,
    JobRow,
    NamespaceBlobRow,
    RunRow,
    ScheduleRow,
    VersionRow,
)

_FORMER = "former"


def namespaces(context: Context, actor: Actor) -> list[Namespace]:
    """Return all namespaces; see `NamespaceService.namespaces`."""
    actor.require_everywhere("admin")
    with context.database.session() as session:
        rows = {row.namespace: row for row in session.scalars(select(NamespaceRow))}
        counted = session.scalars(select(JobRow.namespace).distinct())
        jobs = {str(namespace) for namespace in counted}
        shown = {*jobs, *(name for name, row in rows.items() if row.state != ACTIVE)}
        return [shown_of(session, name, rows.get(name)) for name in sorted(shown)]


def shown_of(session: Session, name: str, row: NamespaceRow | None) -> Namespace:
    """Return a namespace for people.

    Args:
        session: the caller's transaction.
        name: the namespace.
        row: its row; None where there is none, which is an active namespace.
    """
    waiting = select(func.count()).where(RunRow.namespace == name, RunRow.state == RunState.QUEUED.value)
    return Namespace(
        name=name,
        state=row.state if row else ACTIVE,  # type: ignore[arg-type]  # the store holds only these
        reason=row.reason if row else None,
        since=row.since if row else None,
        former=row.former if row else None,
        jobs=session.scalar(select(func.count()).where(JobRow.namespace == name)) or 0,
        runs_waiting=session.scalar(waiting) or 0,
    )


def suspend(context: Context, row: NamespaceRow, reason: str, state: str = SUSPENDED) -> None:
    """Let nothing of a namespace run from now on.

    Args:
        context: the ledger's surroundings.
        row: the namespace; it is changed in the row's transaction.
        reason: why, for people.
        state: `suspended` or `retired`.
    """
    row.state, row.reason, row.since = state, reason, context.clock()


def activate(context: Context, session: Session, row: NamespaceRow) -> None:
    """Let a namespace go on from now; what was due meanwhile is not made up for.

    Args:
        context: the ledger's surroundings.
        session: the row's transaction; it writes.
        row: the namespace.
    """
    row.state, row.reason, row.since = ACTIVE, None, None
    session.flush()
    restart_clocks(context, session, JobRow.namespace == row.namespace)


def restart_clocks(context: Context, session: Session, which: ColumnElement[bool]) -> None:
    """Let schedules and deadlines count from now, of those jobs that a condition on `JobRow` tells.

    Args:
        context: the ledger's surroundings.
        session: the caller's transaction; it writes.
        which: the condition.
    """
    now = context.clock()
    of_it = select(JobRow.id).where(which)
    due = select(ScheduleRow).where(ScheduleRow.job_id.in_(of_it), ScheduleRow.paused.is_(False))
    for schedule in session.scalars(due.with_for_update()):
        try:
            schedule.next_due = cron.next_fires(schedule.cron, schedule.tz, now, 1)[0]
        except InvalidInput:  # its zone is gone: it is paused, with the reason, when it comes due
            schedule.next_due = now
        schedule.decided_until = now
    for job in session.scalars(select(JobRow).where(which, JobRow.next_deadline.is_not(None))):
        deadline = JobSettings.model_validate(job.settings).deadline
        job.next_deadline = next_deadline(deadline, now) if deadline is not None else None


def jobs_of(session: Session, namespace: str) -> Sequence[str]:
    """Return the ids of a namespace's jobs."""
    return session.scalars(select(JobRow.id).where(JobRow.namespace == namespace)).all()


def holds_jobs(session: Session, namespace: str) -> bool:
    """Return whether a namespace has any job."""
    return session.scalar(select(JobRow.id).where(JobRow.namespace == namespace).limit(1)) is not None


def set_aside(
    context: Context, session: Session, namespace: str, reason: str, state: str = SUSPENDED
) -> NamespaceRow:
    """Put all that a namespace holds under a name that no user has; return the row of that.

    Nothing there is anybody's own: whoever loads a state of it is asked first. The row of the namespace is
    the caller's to change.

    Args:
        context: the ledger's surroundings.
        session: the caller's transaction; it writes.
        namespace: what is put aside.
        reason: why, for people.
        state: the new namespace's state, `suspended` or `retired`.
    """
    kind, _, owner = namespace.partition("/")
    stem = f"{_FORMER}/{owner if kind == 'user' else f'{kind}.{owner}'}"[:240]
    number = 1
    while session.get(NamespaceRow, f"{stem}.{number}") is not None:
        number += 1
    row = NamespaceRow(namespace=f"{stem}.{number}", former=namespace)
    suspend(context, row, reason, state)
    session.add(row)
    session.flush()
    disown(session, jobs_of(session, namespace), row.namespace)
    transfer(session, namespace, row.namespace)
    return row


def transfer(session: Session, namespace: str, new: str) -> None:
    """Give jobs, runs and held blobs of a namespace to another one, which has no job of these names.

    Args:
        session: the caller's transaction; it writes.
        namespace: whose they are.
        new: whose they become.
    """
    _transfer_former_names(session, namespace, new)
    session.execute(update(JobRow).where(JobRow.namespace == namespace).values(namespace=new))
    session.execute(update(RunRow).where(RunRow.namespace == namespace).values(namespace=new))
    held = NamespaceBlobRow.__table__
    known = select(held.c.digest).where(held.c.namespace == new)
    both = select(literal(new), held.c.digest, held.c.size).where(
        held.c.namespace == namespace, held.c.digest.not_in(known)
    )
    session.execute(insert(NamespaceBlobRow).from_select(["namespace", "digest", "size"], both))
    session.execute(delete(NamespaceBlobRow).where(NamespaceBlobRow.namespace == namespace))
    session.expire_all()


def _transfer_former_names(session: Session, namespace: str, new: str) -> None:
    """Give former names to another namespace, but for those that lead to a job there already."""
    former, name = FormerNameRow.namespace, FormerNameRow.name
    coming = select(JobRow.name).where(JobRow.namespace == namespace)
    there = select(JobRow.name).where(JobRow.namespace == new)
    kept = select(FormerNameRow.name).where(former == new)
    for gone in (
        delete(FormerNameRow).where(former == new, name.in_(coming)),
        delete(FormerNameRow).where(former == namespace, or_(name.in_(there), name.in_(kept))),
    ):
        session.execute(gone.execution_options(synchronize_session=False))
    moved = update(FormerNameRow).where(former == namespace).values(namespace=new)
    session.execute(moved.execution_options(synchronize_session=False))


def disown(session: Session, jobs: Sequence[str], author: str) -> None:
    """Mark runs and versions of jobs as the work of somebody who shares at most a name with others.

    Args:
        session: the caller's transaction; it writes.
        jobs: ids of the jobs.
        author: who is named as the only author.
    """
    for table in (RunRow, VersionRow):
        for some in in_pieces(jobs):
            mark = update(table).where(table.job_id.in_(some)).values(authors=[author])
            session.execute(mark.execution_options(synchronize_session=False))
    session.expire_all()


def next_audit(session: Session) -> int:
    """Return the number of the audit record that comes next; records of a later owner begin there."""
    head = session.scalars(select(AuditHeadRow).where(AuditHeadRow.id == 1).with_for_update()).one()
    return head.seq + 1
