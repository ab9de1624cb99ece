"""A job's settings in words, for its page: those that differ from the defaults."""

from __future__ import annotations

from respawn_hub.pages.templating import duration
from respawn_jobs.model.base import LARGEST
from respawn_jobs.model.kernels import EnvironmentDetail
from respawn_jobs.model.runs import RunDetail
from respawn_jobs.model.settings import Cause, JobSettings, RetryPolicy
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large

_CAUSES = {
    Cause.CELL_ERROR: "an error in a cell",
    Cause.DEAD_KERNEL: "the death of its kernel",
    Cause.OUT_OF_MEMORY: "the end of its kernel's memory",
    Cause.PROCESS_LIMIT: "too many processes",
    Cause.DISK_LIMIT: "a directory that grew too large",
    Cause.ENVIRONMENT_MISSING: "the lack of its kernel",
    Cause.RUNNER_LOST: "the loss of its runner",
    Cause.TIMEOUT: "a time limit",
}
_OVERLAP = {"skip": "left out", "cancel": "started after the others are cancelled"}


def words(settings: JobSettings) -> list[tuple[str, str]]:
    """Return a label and its words for each setting that is not as usual."""
    usual = JobSettings()
    rows: list[tuple[str, str]] = []
    if settings.timeout_seconds:
        rows.append(("Time limit", duration(settings.timeout_seconds)))
    if settings.cell_timeout_seconds:
        rows.append(("Time limit of a cell", duration(settings.cell_timeout_seconds)))
    if settings.blocked_after_seconds != usual.blocked_after_seconds:
        rows.append(("A cell is blocked", f"after {duration(settings.blocked_after_seconds)} without life"))
    if settings.blocked_timeout_seconds:
        rows.append(
            ("A blocked cell ends", f"after {duration(settings.blocked_timeout_seconds)} without life")
        )
    if settings.memory_limit_bytes:
        rows.append(("Memory limit", how_large(settings.memory_limit_bytes)))
    if settings.cpu_limit:
        rows.append(("Cores", f"{settings.cpu_limit:g} at most"))
    if settings.process_limit:
        rows.append(("Processes", f"{settings.process_limit} at most"))
    if settings.disk_limit_bytes:
        rows.append(("Limit of its directory's growth", how_large(settings.disk_limit_bytes)))
    if settings.max_attempts > 1:
        rows.append(("Attempts", f"{settings.max_attempts} at most for each cause"))
    for cause, policy in settings.retries.items():
        rows.append((f"After {_CAUSES[cause]}", _retry(policy)))
    if settings.keep_kernel_seconds is not None:
        rows.append(("A failed kernel lives on", _lives_on(settings.keep_kernel_seconds)))
    if settings.profile:
        rows.append(("Profile", settings.profile))
    if settings.strict_resume:
        rows.append(("Resume", "strict: everything from the first change on runs again"))
    if settings.priority:
        rows.append(("Priority", f"{settings.priority:+d}"))
    if settings.queue != usual.queue:
        rows.append(("Queue", settings.queue))
    if settings.max_parallel:
        rows.append(("At once", f"{settings.max_parallel} at most"))
    if settings.overlap != usual.overlap:
        rows.append(("Due while others run", _OVERLAP[settings.overlap]))
    if settings.keep_runs or settings.keep_days:
        rows.append(("Ended runs", _kept(settings)))
    if settings.notify:
        rows.append(("Tells", ", ".join(settings.notify)))
    if settings.deadline:
        rows.append(("Deadline", f"{settings.deadline.time} {settings.deadline.tz}"))
    return rows


def resource_words(environment: EnvironmentDetail) -> list[str]:
    """Return what a kernel of an environment may take, as far as the environment says, in words."""
    parts = []
    if environment.memory_bytes is not None:
        parts.append(f"{how_large(environment.memory_bytes)} of memory")
    if environment.cpus is not None:
        parts.append(how_many(environment.cpus, "core"))
    if environment.processes is not None:
        parts.append(how_many(environment.processes, "process", "processes"))
    if environment.disk_bytes is not None:
        parts.append(f"{how_large(environment.disk_bytes)} more in its directory")
    return parts


def more_memory(detail: RunDetail, ceiling: int | None) -> int | None:
    """Return the memory limit, twice its own, by which a run can be resumed that was short of memory.

    Args:
        detail: the run.
        ceiling: bytes that kernels may have at most; None for any number.

    Returns:
        Bytes; None where more would not help, or is not allowed.
    """
    last = detail.attempts[-1] if detail.attempts else None
    record = last.limits if last is not None and last.cause is Cause.OUT_OF_MEMORY else None
    if record is None:
        return None
    limit = record.limits.memory_bytes
    if limit is None or not detail.run.state.resumable:
        return None
    more = min(2 * limit, ceiling if ceiling is not None else LARGEST)
    return more if more > limit else None


def _lives_on(seconds: float) -> str:
    return f"for {duration(seconds)} at most" if seconds else "not at all"


def _retry(policy: RetryPolicy) -> str:
    if policy.attempts == 1:
        return "not tried again"
    pause = f"after {duration(policy.delay_seconds)} at first" if policy.delay_seconds else "at once"
    from_where = "from the last checkpoint" if policy.resume else "from the top"
    more = ""
    if policy.memory_factor > 1:
        most = f", {how_large(policy.max_memory_bytes)} at most" if policy.max_memory_bytes else ""
        more = f", with the memory limit times {policy.memory_factor:g}{most}"
    return f"{how_many(policy.attempts, 'attempt')}, {from_where}, {pause}{more}"


def _kept(settings: JobSettings) -> str:
    parts = []
    if settings.keep_runs:
        parts.append(f"the newest {settings.keep_runs}")
    if settings.keep_days:
        parts.append(f"for {how_many(settings.keep_days, 'day')}")
    return f"kept: {' and '.join(parts)}"
