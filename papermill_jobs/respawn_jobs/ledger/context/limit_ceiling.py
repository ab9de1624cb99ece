"""What kernels may take at most in a deployment: nobody who sets a limit goes above it."""

from __future__ import annotations

from collections.abc import Collection

from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.model.settings import JobSettings
from respawn_kernels.sizes import how_large


def check_memory(context: Context, wanted: int | None) -> None:
    """Refuse more memory for a run than the deployment allows.

    Args:
        context: the ledger's surroundings.
        wanted: bytes; None for what the job says.

    Raises:
        InvalidInput: it is more.
    """
    if wanted is not None:
        check_settings(context, JobSettings(memory_limit_bytes=wanted), ["memory_limit_bytes"])


def check_settings(
    context: Context, settings: JobSettings, names: Collection[str] = tuple(JobSettings.model_fields)
) -> None:
    """Refuse limits of a job, and a memory that its retries come to, above what the deployment allows.

    Args:
        context: the ledger's surroundings.
        settings: the job's.
        names: the settings that were given; others were refused or taken before.

    Raises:
        InvalidInput: one of them is above it; the message says which, and what is allowed.
    """
    most = context.max_kernel_limits
    most_memory = most.memory_bytes
    wanted: list[tuple[str, str, float | None, float | None, bool]] = [
        ("memory_limit_bytes", "memory_limit_bytes", settings.memory_limit_bytes, most_memory, True),
        ("cpu_limit", "cpu_limit", settings.cpu_limit, most.cpus, False),
        ("process_limit", "process_limit", settings.process_limit, most.processes, False),
        ("disk_limit_bytes", "disk_limit_bytes", settings.disk_limit_bytes, most.disk_bytes, True),
    ]
    for cause, policy in settings.retries.items():
        path = f"retries.{cause.value}.max_memory_bytes"
        wanted.append(("retries", path, policy.max_memory_bytes, most_memory, True))
    for name, path, value, allowed, is_size in wanted:
        if name in names and value is not None and allowed is not None and value > allowed:
            given, limit = (
                (how_large(int(value)), how_large(int(allowed)))
                if is_size
                else (f"{value:g}", f"{allowed:g}")
            )
            raise InvalidInput(
                f"{path} is {given}, and kernels of this deployment may have {limit} at most: "
                "an administrator sets that",
                setting=name,
                limit=allowed,
            )
