"""A job's settings in words, for its page: those that differ from the defaults."""

from __future__ import annotations

from respawn_hub.templating import duration
from respawn_jobs.policies import Cause, JobSettings, RetryPolicy

_CAUSES = {
    Cause.CELL_ERROR: "an error in a cell",
    Cause.DEAD_KERNEL: "the death of its kernel",
    Cause.RUNNER_LOST: "the loss of its runner",
    Cause.TIMEOUT: "a time limit",
}
_OVERLAP = {"skip": "left out", "cancel": "started after the others are cancelled"}


def words(settings: JobSettings) -> list[tuple[str, str]]:
    """Return a label and its words for each setting that is not as usual."""
    usual = JobSettings()
    told: list[tuple[str, str]] = []
    if settings.timeout_seconds:
        told.append(("Time limit", duration(settings.timeout_seconds)))
    if settings.cell_timeout_seconds:
        told.append(("Time limit of a cell", duration(settings.cell_timeout_seconds)))
    if settings.max_attempts > 1:
        told.append(("Attempts", f"{settings.max_attempts} at most for each cause"))
    for cause, policy in settings.retries.items():
        told.append((f"After {_CAUSES[cause]}", _retry(policy)))
    if settings.strict_resume:
        told.append(("Resume", "strict: everything from the first change on runs again"))
    if settings.priority:
        told.append(("Priority", f"{settings.priority:+d}"))
    if settings.queue != usual.queue:
        told.append(("Queue", settings.queue))
    if settings.max_parallel:
        told.append(("At once", f"{settings.max_parallel} at most"))
    if settings.overlap != usual.overlap:
        told.append(("Due while others run", _OVERLAP[settings.overlap]))
    if settings.keep_runs or settings.keep_days:
        told.append(("Ended runs", _kept(settings)))
    if settings.notify:
        told.append(("Tells", ", ".join(settings.notify)))
    if settings.deadline:
        told.append(("Deadline", f"{settings.deadline.time} {settings.deadline.tz}"))
    return told


def _retry(policy: RetryPolicy) -> str:
    if policy.attempts == 1:
        return "not tried again"
    pause = f"after {duration(policy.delay_seconds)} at first" if policy.delay_seconds else "at once"
    from_where = "from the last checkpoint" if policy.resume else "from the top"
    return f"{policy.attempts} attempts, {from_where}, {pause}"


def _kept(settings: JobSettings) -> str:
    parts = []
    if settings.keep_runs:
        parts.append(f"the newest {settings.keep_runs}")
    if settings.keep_days:
        parts.append(f"for {settings.keep_days:g} days")
    return f"kept: {' and '.join(parts)}"
