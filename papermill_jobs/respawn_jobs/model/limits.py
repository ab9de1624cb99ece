"""What a kernel may take of its machine, what it was seen to take, and who holds it to that."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from respawn_jobs.model.base import LARGEST, Model
from respawn_jobs.model.open_values import OPEN
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large

MIN_MEMORY_BYTES = 64 << 20
"""No interpreter with ipykernel comes up in less; what a kernel needs is measured before its first cell."""
OUT_OF_MEMORY, PROCESS_LIMIT, DISK_LIMIT = "OutOfMemory", "ProcessLimitExceeded", "DiskLimitExceeded"
"""The names of errors of runs whose kernel was over a limit."""
MEMORY_TOO_SMALL = "MemoryLimitTooLow"
"""The name of the error of a run whose memory limit is below what its kernel takes before the first cell."""
MemoryBytes = Annotated[int, Field(ge=MIN_MEMORY_BYTES, le=LARGEST)]
Cpus = Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)]
Processes = Annotated[int, Field(ge=1, le=100_000)]
DiskBytes = Annotated[int, Field(ge=1 << 20, le=LARGEST)]
LimitedBy = Annotated[Literal["cgroup_v1", "cgroup_v2", "watchdog", "nothing"], OPEN]


class KernelLimits(Model):
    """What a kernel and all processes below it may take together; None for no limit."""

    memory_bytes: MemoryBytes | None = None
    """Proportional set size: what processes share counts once. What a held child keeps does not count."""
    cpus: Cpus | None = None
    """Cores. A kernel that wants more becomes slower, and is not ended."""
    processes: Processes | None = None
    """How many processes there may be at a time, the kernel itself included; threads do not count."""
    disk_bytes: DiskBytes | None = None
    """By how much the run's directory may grow, in bytes that are stored."""

    @property
    def any(self) -> bool:
        """Whether anything is limited."""
        return self != KernelLimits()

    def with_defaults(self, usual: KernelLimits) -> KernelLimits:
        """Return these limits, with others where these set none."""
        given = self.model_dump(exclude_none=True)
        return usual.model_copy(update=given)

    def at_most(self, most: KernelLimits) -> KernelLimits:
        """Return these limits, lowered to others where they are higher or set none."""
        lower = {
            name: min(known for known in (getattr(self, name), limit) if known is not None)
            for name, limit in most.model_dump(exclude_none=True).items()
        }
        return self.model_copy(update=lower)


class LimitRecord(Model):
    """How the kernel of one attempt was held to its limits, and the most that it was seen to take."""

    limits: KernelLimits
    by: LimitedBy
    """`cgroup_v1`, `cgroup_v2`: the system, by control groups. `watchdog`: the runner alone, which looks
    several times a second. `nothing`: the kernel did not come up, is not on the runner's machine, or that is
    no Linux."""
    peak_memory_bytes: int | None = Field(default=None, ge=0, le=LARGEST)
    peak_processes: int | None = Field(default=None, ge=0, le=LARGEST)
    peak_disk_bytes: int | None = Field(default=None, ge=0, le=LARGEST)

    def words(self) -> list[str]:
        """Return what there is to tell people: each limit with the most that was seen, and who holds it."""
        limits = self.limits
        parts = [
            _of(self.peak_memory_bytes, limits.memory_bytes, "of memory"),
            _of(self.peak_disk_bytes, limits.disk_bytes, "in its directory"),
        ]
        if limits.processes is not None:
            seen = f"{self.peak_processes} of " if self.peak_processes is not None else ""
            parts.append(f"{seen}{how_many(limits.processes, 'process', 'processes')}")
        if limits.cpus is not None:
            parts.append(how_many(limits.cpus, "core"))
        return [*(part for part in parts if part), _BY.get(self.by, self.by)]


_BY = {
    "cgroup_v1": "held by control groups (version 1)",
    "cgroup_v2": "held by control groups (version 2)",
    "watchdog": "watched by the runner",
    "nothing": "not held: the kernel did not come up, or it cannot be measured from here",
}


def _of(seen: int | None, limit: int | None, what: str) -> str:
    if limit is None:
        return ""
    return (
        f"{how_large(seen)} of {how_large(limit)} {what}"
        if seen is not None
        else f"{how_large(limit)} {what}"
    )
