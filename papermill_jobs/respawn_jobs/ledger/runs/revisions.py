"""What happened to a run since a person looked at it, so that nobody acts on what is no longer so."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from respawn_jobs.errors import Conflict
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.tables import AuditRow, RunRow

RETRY_NOW, SUSPEND, RELEASE = "retry-now", "suspend", "release"
_DONE = {
    "cancel": "was cancelled",
    RETRY_NOW: "was tried again",
    SUSPEND: "was suspended",
    RELEASE: "was released",
}


def mark_state_change(session: Session, run_id: str) -> None:
    """Let those who watch a run know that its state has changed: what they saw no longer holds."""
    session.execute(
        update(RunRow)
        .where(RunRow.id == run_id)
        .values(revision=RunRow.revision + 1, state_revision=RunRow.revision + 1)
        .execution_options(synchronize_session=False)
    )


def check_unchanged(session: Session, run: RunRow, revision: int | None) -> None:
    """Refuse to act on a run that is not as the person saw it. Cells that went on meanwhile do not count.

    Args:
        session: the caller's transaction.
        run: the run.
        revision: the run's revision as the person saw it; None checks nothing.

    Raises:
        Conflict: its state has changed since that revision; the message says how.
    """
    if revision is not None and run.state_revision > revision:
        raise Conflict(
            f"{run.id} changed meanwhile: {what_happened(session, run)}", run=run.id, state=run.state
        )


def what_happened(session: Session, run: RunRow) -> str:
    """Return what a run has come to, and who brought that about."""
    last = last_change(session, run.id, tuple(_DONE))
    if last is not None and _holds(last.action, run):
        return f"it {_DONE[last.action]} by {by(last)}"
    ended = RunState(run.state).final and run.finished_at is not None
    state = run.state.replace("_", " ")
    return f"it {state} at {run.finished_at:%Y-%m-%d %H:%M:%S} UTC" if ended else f"it is {state}"


def why_cancelled(session: Session, run: RunRow) -> str | None:
    """Return why a run was cancelled, and by whom, where a reason was given."""
    asked = last_change(session, run.id, ["cancel"])
    reason = asked.details.get("reason") if asked is not None else None
    return f"cancelled by {asked.actor}: {reason}" if asked is not None and reason else None


def by(record: AuditRow) -> str:
    """Return who did what is recorded, and when."""
    return f"{record.actor} at {record.at:%Y-%m-%d %H:%M:%S} UTC"


def last_change(session: Session, run_id: str, actions: Collection[str]) -> AuditRow | None:
    """Return the latest record of such an action on a run.

    Args:
        session: reads the audit trail.
        run_id: the run's id.
        actions: as the audit trail names them.
    """
    query = select(AuditRow).where(AuditRow.subject == run_id, AuditRow.action.in_(actions))
    return session.scalar(query.order_by(AuditRow.seq.desc()).limit(1))


def _holds(action: str, run: RunRow) -> bool:
    """Tell whether a run is still as an action on it left it."""
    cancelled = run.cancel_requested or run.state == RunState.CANCELLED.value
    if action == SUSPEND:
        return run.state == RunState.SUSPENDED.value
    if action == RELEASE:
        return not cancelled and not RunState(run.state).final
    return (action == "cancel") == cancelled
