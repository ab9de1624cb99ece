"""What follows when an attempt has ended without success: another try, when and whence, or the end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from respawn_jobs.ledger import reconsidering, starts
from respawn_jobs.ledger.changes import why_cancelled
from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.starts import Refusal, Start
from respawn_jobs.models import Cause, CellError, JobSettings, RunState
from respawn_jobs.policies import RetryPolicy
from respawn_jobs.protocol import DRAINED, NOT_STARTED, PLAN_CHANGED, TERMINATED
from respawn_jobs.store.tables import AttemptRow, RunRow

MOST_HANDED_ON = 20
"""How many attempts in a row may be handed on before the run ends."""
_KERNEL_GONE = ("DeadKernel", "KernelStart")
_HANDED_ON = (DRAINED, NOT_STARTED)
_NO_CAUSE = (*_HANDED_ON, TERMINATED)
_LONGEST_PAUSE = 60.0
"""Seconds between attempts that no runner takes: what keeps them from it may last."""


@dataclass
class Verdict:
    """What becomes of a run whose attempt has ended."""

    start: Start | None = None
    """Where the next attempt begins; None when the run ends."""
    not_before: datetime | None = None
    """When it may begin; None at once."""
    note: str | None = None
    """What is said of that."""
    cell: int | None = None
    """The cell that forbids another attempt."""


def cause_of(state: RunState, error: CellError | None) -> Cause | None:
    """Return why an attempt ended, as far as it decides whether another is made.

    None for success, a cancel, an end that nothing in the run brought about (its runner was told to end), and
    for a plan that changed, after which a new plan decides.
    """
    if state is RunState.TIMED_OUT:
        return Cause.TIMEOUT
    name = error.name if error is not None else ""
    if name == PLAN_CHANGED:
        return None
    if state is RunState.LOST:
        return None if name in _NO_CAUSE else Cause.RUNNER_LOST
    if state is not RunState.FAILED:
        return None
    return Cause.DEAD_KERNEL if name in _KERNEL_GONE else Cause.CELL_ERROR


def decide(context: Context, session: Session, run: RunRow, attempt: AttemptRow) -> Verdict:
    """Tell what becomes of a run whose attempt has ended.

    Raises `Unavailable` when the blob store does not answer: what the run goes on from cannot be told.
    """
    if run.cancel_requested:
        return Verdict(note=why_cancelled(session, run))
    if _handed_on(attempt):
        return _hand_on(context, session, run, attempt)
    error = CellError.model_validate(attempt.error) if attempt.error else None
    if error is not None and error.name == PLAN_CHANGED:
        anew = reconsidering.start_anew(context, session, run, attempt)
        if isinstance(anew, Refusal):
            return Verdict(note=anew.note, cell=anew.cell)
        return Verdict(anew, None, anew.note)
    cause = cause_of(RunState(attempt.state), error)
    if cause is None:
        return Verdict()
    policy = JobSettings.model_validate(run.settings).policy(cause)
    ended = _ended_by(session, run, cause)
    if ended >= policy.attempts:
        return Verdict()
    found = starts.start_of_retry(context, session, run, attempt, resume=policy.resume)
    if isinstance(found, Refusal):
        return Verdict(note=found.note, cell=found.cell)
    seconds = pause(policy, ended, context.random())
    told = f"tried again after {seconds:.0f} s" if seconds else "tried again at once"
    return Verdict(
        found,
        context.clock() + timedelta(seconds=seconds) if seconds else None,
        f"{told} ({cause.value.replace('_', ' ')}, {ended} of {policy.attempts}): {found.note}",
    )


def pause(policy: RetryPolicy, ended: int, chance: float) -> float:
    """Return the seconds before the next try.

    Args:
        policy: how long pauses are.
        ended: how many attempts have ended by the cause.
        chance: a random number from 0 to 1.
    """
    seconds = min(policy.delay_seconds * policy.factor ** (ended - 1), policy.longest_seconds)
    return seconds * (1 + policy.jitter * (2 * chance - 1))


def _hand_on(context: Context, session: Session, run: RunRow, attempt: AttemptRow) -> Verdict:
    before = _handed_on_in_a_row(session, run)
    if before > MOST_HANDED_ON:
        return Verdict(note=f"handed on {MOST_HANDED_ON} times in a row: it is not tried again")
    found = starts.start_of_retry(context, session, run, attempt, resume=True)
    if isinstance(found, Refusal):
        return Verdict(note=found.note, cell=found.cell)
    if _name(attempt) == DRAINED:
        return Verdict(found, None, f"handed on: {found.note}")
    seconds = min(2.0 ** (before - 1), _LONGEST_PAUSE)
    later = context.clock() + timedelta(seconds=seconds)
    return Verdict(found, later, f"no runner took it, tried again after {seconds:.0f} s: {found.note}")


def _handed_on(attempt: AttemptRow) -> bool:
    return attempt.state == RunState.LOST.value and _name(attempt) in _HANDED_ON


def _name(attempt: AttemptRow) -> str | None:
    """Return the name of the error that an attempt ended by."""
    return (attempt.error or {}).get("name")


def _handed_on_in_a_row(session: Session, run: RunRow) -> int:
    latest = session.scalars(
        select(AttemptRow)
        .where(AttemptRow.run_id == run.id)
        .order_by(AttemptRow.number.desc())
        .limit(MOST_HANDED_ON + 1)
    ).all()
    return next((place for place, one in enumerate(latest) if not _handed_on(one)), len(latest))


def _ended_by(session: Session, run: RunRow, cause: Cause) -> int:
    query = select(func.count()).where(AttemptRow.run_id == run.id, AttemptRow.cause == cause.value)
    return session.scalar(query) or 0
