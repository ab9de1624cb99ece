"""What follows when an attempt has ended without success: another try, when and whence, or the end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from respawn_jobs.api.runner_protocol import (
    ENVIRONMENT_MISSING,
    NOT_STARTED,
    PLAN_CHANGED,
    PREEMPTED,
    TERMINATED,
)
from respawn_jobs.ledger.attempts import replanning, retry_start
from respawn_jobs.ledger.attempts.retry_start import RetryRefusal, RetryStart
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.runs.revisions import why_cancelled
from respawn_jobs.model.base import LARGEST
from respawn_jobs.model.limits import DISK_LIMIT, MEMORY_TOO_SMALL, OUT_OF_MEMORY, PROCESS_LIMIT
from respawn_jobs.model.runs import CellError, RunState
from respawn_jobs.model.settings import RETRIED, Cause, JobSettings, RetryPolicy
from respawn_jobs.store.tables import AttemptRow, RunRow
from respawn_kernels.sizes import how_large

MAX_REQUEUES = 20
"""How many attempts in a row may be requeued before the run ends."""
_CAUSES = {
    "DeadKernel": Cause.DEAD_KERNEL,
    "KernelStart": Cause.DEAD_KERNEL,
    OUT_OF_MEMORY: Cause.OUT_OF_MEMORY,
    MEMORY_TOO_SMALL: Cause.OUT_OF_MEMORY,
    PROCESS_LIMIT: Cause.PROCESS_LIMIT,
    DISK_LIMIT: Cause.DISK_LIMIT,
    ENVIRONMENT_MISSING: Cause.ENVIRONMENT_MISSING,
}
"""Of attempts that failed, by the name of their error, where their runner does not say the cause; all others
are errors of a cell."""
_REQUEUE_CAUSES = (PREEMPTED, NOT_STARTED)
_NO_CAUSE = (*_REQUEUE_CAUSES, TERMINATED)
_MAX_PAUSE = 60.0
"""Seconds between attempts that no runner takes: what keeps them from it may last."""


@dataclass
class Verdict:
    """What becomes of a run whose attempt has ended."""

    start: RetryStart | None = None
    """Where the next attempt begins; None when the run ends."""
    not_before: datetime | None = None
    """When it may begin; None at once."""
    note: str | None = None
    """The reason, in words."""
    cell: int | None = None
    """The cell that forbids another attempt."""
    memory_bytes: int | None = None
    """The memory limit of the next attempt; None for that of the run."""


def cause_of(state: RunState, error: CellError | None, reported: Cause | None = None) -> Cause | None:
    """Return why an attempt ended, as far as it decides whether another is made.

    None for success, a cancel, an end that nothing in the run caused (its runner was asked to end), and
    for a plan that changed, after which a new plan decides.

    Args:
        state: how the attempt ended.
        error: by what; None where it did not fail.
        reported: what its runner says of an attempt that failed; None where it says nothing.
    """
    if state is RunState.TIMED_OUT:
        return Cause.TIMEOUT
    name = error.name if error is not None else ""
    if state is RunState.FAILED and reported is not None:
        return reported
    if name == PLAN_CHANGED:
        return None
    if state is RunState.LOST:
        return None if name in _NO_CAUSE else Cause.RUNNER_LOST
    if state is not RunState.FAILED:
        return None
    return _CAUSES.get(name, Cause.CELL_ERROR)


def decide(context: Context, session: Session, run: RunRow, attempt: AttemptRow) -> Verdict:
    """Tell what becomes of a run whose attempt has ended.

    Raises `Unavailable` when the blob store does not answer: it has the state that the run continues from.

    Args:
        context: the ledger's surroundings.
        session: reads the run.
        run: the run.
        attempt: its latest attempt, which has ended.
    """
    if run.cancel_requested:
        return Verdict(note=why_cancelled(session, run))
    if _was_requeued(attempt):
        return _requeue(context, session, run, attempt)
    error = CellError.model_validate(attempt.error) if attempt.error else None
    cause = Cause(attempt.cause) if attempt.cause else None
    if cause is None and error is not None and error.name == PLAN_CHANGED:
        anew = replanning.start_anew(context, session, run, attempt)
        if isinstance(anew, RetryRefusal):
            return Verdict(note=anew.note, cell=anew.cell)
        return Verdict(anew, None, anew.note)
    if cause is None:
        return Verdict()
    if cause not in RETRIED:
        return Verdict(note="not tried again: its kernel would be missing again")
    settings = JobSettings.model_validate(run.settings)
    policy = settings.policy(cause)
    ended = _ended_by(session, run, cause)
    if ended >= policy.attempts:
        return Verdict()
    memory = None
    if cause is Cause.OUT_OF_MEMORY:
        memory = _more_memory(settings.memory_limit_bytes, policy, context.max_kernel_limits.memory_bytes)
        if memory is None and policy.memory_factor > 1:
            return Verdict(
                note="not tried again: its memory limit is as high as the retry policy lets it be, or the "
                "deployment"
            )
    found = retry_start.start_of_retry(context, session, run, attempt, resume=policy.resume)
    if isinstance(found, RetryRefusal):
        return Verdict(note=found.note, cell=found.cell)
    seconds = pause(policy, ended, context.random())
    when = f"tried again after {seconds:.0f} s" if seconds else "tried again at once"
    more = f" with a memory limit of {how_large(memory)}" if memory is not None else ""
    return Verdict(
        found,
        context.clock() + timedelta(seconds=seconds) if seconds else None,
        f"{when}{more} ({cause.value.replace('_', ' ')}, {ended} of {policy.attempts}): {found.note}",
        memory_bytes=memory,
    )


def _more_memory(limit: int | None, policy: RetryPolicy, ceiling: int | None) -> int | None:
    """Return the memory limit of the next attempt; None when it cannot be higher, or need not be.

    Args:
        limit: of the attempt that has ended.
        policy: by how much it is raised, and up to what.
        ceiling: what the deployment allows.
    """
    if limit is None or policy.memory_factor <= 1:
        return None
    more = min(int(limit * policy.memory_factor), policy.max_memory_bytes or LARGEST, ceiling or LARGEST)
    return more if more > limit else None


def pause(policy: RetryPolicy, ended: int, chance: float) -> float:
    """Return the seconds before the next try.

    Args:
        policy: how long pauses are.
        ended: how many attempts have ended by the cause.
        chance: a random number from 0 to 1.
    """
    seconds = min(policy.delay_seconds * policy.factor ** (ended - 1), policy.max_delay_seconds)
    return seconds * (1 + policy.jitter * (2 * chance - 1))


def _requeue(context: Context, session: Session, run: RunRow, attempt: AttemptRow) -> Verdict:
    before = _requeues_in_a_row(session, run)
    if before > MAX_REQUEUES:
        return Verdict(note=f"requeued {MAX_REQUEUES} times in a row: it is not tried again")
    found = retry_start.start_of_retry(context, session, run, attempt, resume=True)
    if isinstance(found, RetryRefusal):
        return Verdict(note=found.note, cell=found.cell)
    if _name(attempt) == PREEMPTED:
        return Verdict(found, None, f"requeued: {found.note}")
    seconds = min(2.0 ** (before - 1), _MAX_PAUSE)
    later = context.clock() + timedelta(seconds=seconds)
    return Verdict(found, later, f"no runner took it, tried again after {seconds:.0f} s: {found.note}")


def _was_requeued(attempt: AttemptRow) -> bool:
    return attempt.state == RunState.LOST.value and _name(attempt) in _REQUEUE_CAUSES


def _name(attempt: AttemptRow) -> str | None:
    """Return the name of the error that an attempt ended by."""
    return (attempt.error or {}).get("name")


def _requeues_in_a_row(session: Session, run: RunRow) -> int:
    latest = session.scalars(
        select(AttemptRow)
        .where(AttemptRow.run_id == run.id)
        .order_by(AttemptRow.number.desc())
        .limit(MAX_REQUEUES + 1)
    ).all()
    return next((place for place, one in enumerate(latest) if not _was_requeued(one)), len(latest))


def _ended_by(session: Session, run: RunRow, cause: Cause) -> int:
    query = select(func.count()).where(AttemptRow.run_id == run.id, AttemptRow.cause == cause.value)
    return session.scalar(query) or 0
