"""The settings of a job: how its runs are made, retried, queued, reported and kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from respawn_jobs.model.base import LARGEST, MAX_DURATION_SECONDS, Many, Model
from respawn_jobs.model.limits import Cpus, DiskBytes, KernelLimits, MemoryBytes, Processes
from respawn_jobs.model.open_values import OPEN, OpenEnum

MAX_ATTEMPTS = 20
BLOCKED_AFTER_SECONDS = 600.0
QueueName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
HashSeed = Annotated[str, StringConstraints(pattern=r"^(random|[0-9]{1,10})$")]
ProfileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$")]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Cause(OpenEnum):
    """Why an attempt ended without success, as far as it decides whether another is made."""

    CELL_ERROR = "cell_error"
    """A cell raised, or the notebook could not be run at all."""
    DEAD_KERNEL = "dead_kernel"
    """The kernel's process ended: killed, crashed, out of the machine's memory, or it did not come up."""
    OUT_OF_MEMORY = "out_of_memory"
    """The kernel was over its memory limit, or the limit is too low for any cell."""
    PROCESS_LIMIT = "process_limit"
    """The kernel had more processes than it may."""
    DISK_LIMIT = "disk_limit"
    """The run's directory grew by more than it may."""
    ENVIRONMENT_MISSING = "environment_missing"
    """The version's kernel, or the build of it that is pinned, is not where the run executes: never tried
    again."""
    RUNNER_LOST = "runner_lost"
    """The runner stopped answering: killed, out of memory, its machine gone."""
    TIMEOUT = "timeout"
    """The run or a cell took longer than it may."""


RETRIED = tuple(cause for cause in Cause if cause is not Cause.ENVIRONMENT_MISSING)
"""The causes after which another attempt may be made."""


class RetryPolicy(Model):
    """How runs are tried again after one cause; pauses grow exponentially.

    The pause before try n+1 is `delay_seconds * factor ** (n - 1)`, at most `max_delay_seconds`, made longer
    or shorter by up to the share `jitter`, at random.
    """

    attempts: int = Field(default=1, ge=1, le=MAX_ATTEMPTS)
    """How many attempts may end by this cause before the run does."""
    delay_seconds: float = Field(default=5.0, ge=0, le=MAX_DURATION_SECONDS)
    factor: float = Field(default=2.0, ge=1, le=100)
    max_delay_seconds: float = Field(default=3600.0, ge=0, le=MAX_DURATION_SECONDS)
    jitter: float = Field(default=0.2, ge=0, le=1)
    resume: bool = True
    """Whether the next attempt goes on from the last checkpoint; else it starts over."""
    memory_factor: float = Field(default=1.0, ge=1, le=100)
    """For `out_of_memory`: by how much the memory limit of the next attempt is higher. 2 doubles it."""
    max_memory_bytes: MemoryBytes | None = None
    """The highest memory limit that this comes to; an attempt that had it is not followed by another."""


class Deadline(Model):
    """When a job's runs of a day must have succeeded."""

    time: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """Local time of day, such as `06:00`."""
    tz: str = "UTC"
    """IANA time zone."""


class JobSettings(Model):
    """How runs of a job are made; the same for all its versions."""

    timeout_seconds: float | None = Field(default=None, gt=0, le=MAX_DURATION_SECONDS)
    cell_timeout_seconds: float | None = Field(default=None, gt=0, le=MAX_DURATION_SECONDS)
    blocked_after_seconds: float = Field(default=BLOCKED_AFTER_SECONDS, gt=0, le=MAX_DURATION_SECONDS)
    """After how long without a sign of life (CPU, bytes of files or TCP connections, output) a running cell
    is shown as blocked."""
    blocked_timeout_seconds: float | None = Field(default=None, gt=0, le=MAX_DURATION_SECONDS)
    """After how long without a sign of life a cell is ended, as by `cell_timeout_seconds`; None for never."""
    max_attempts: int = Field(default=1, ge=1, le=MAX_ATTEMPTS)
    """How many attempts may end by a cause that `retries` does not name."""
    retries: dict[Cause, RetryPolicy] = {}
    """How runs are tried again, by cause; others follow `max_attempts` and the defaults of a policy."""
    checkpoint_share: float = Field(default=0.03, ge=0, le=1)
    """What checkpoints may cost of a run while all goes well. 1: one after each cell, and waited for;
    0: only after cells that are expensive or tagged, and when a cell fails."""
    snapshot_memory_mb: int | None = Field(default=None, gt=0, le=LARGEST)
    """What kernel and snapshot may take together, in MiB; None for the kernel and half of what is free."""
    snapshot_fork: bool = True
    """Whether the state before a cell may be held in a forked child; else checkpoints are taken in line."""
    memory_limit_bytes: MemoryBytes | None = None
    """What the kernel and the processes below it may have in memory; a kernel over it is ended, and the run
    fails by `out_of_memory`. None for these four: as the kernel's environment or the deployment says."""
    cpu_limit: Cpus | None = None
    """How many cores they may use; they become slower and are not ended."""
    process_limit: Processes | None = None
    """How many processes there may be at a time, the kernel included."""
    disk_limit_bytes: DiskBytes | None = None
    """By how much the run's directory may grow."""
    keep_kernel_seconds: float | None = Field(default=None, ge=0, le=MAX_DURATION_SECONDS)
    """How long the kernel of a failed run lives on in its job server, for the debug link; 0 for not at all.
    None, or more than the deployment allows: as long as the deployment says."""
    profile: ProfileName | None = None
    """The profile of the servers that its runs get, of those that an administrator has defined; None for the
    default of its namespace. Runs that wait already follow it too."""
    strict_resume: bool = False
    """Whether a resume runs again everything from the first change on, and not what depends on it alone."""
    priority: int = Field(default=0, ge=-100, le=100)
    """Runs of a higher priority start before others that wait."""
    queue: QueueName = "default"
    """The queue that its runs wait in; a limit may be set for each."""
    max_parallel: int | None = Field(default=None, ge=1, le=10_000)
    """How many runs of the job may run at once; None for no limit of the job's own."""
    overlap: Annotated[Literal["queue", "skip", "cancel"], OPEN] = "queue"
    """What happens to a run that comes due by itself while `max_parallel` (one, when that is None) others
    have not ended. queue: it waits, if there is a limit. skip: it is recorded as cancelled and not executed.
    cancel: the others are cancelled, and it waits for their end."""
    keep_runs: int | None = Field(default=None, ge=1, le=LARGEST)
    """How many ended runs are kept; None for all."""
    keep_days: float | None = Field(default=None, gt=0, le=36_600)
    """How long ended runs are kept; the latest is kept in any case. None for ever."""
    notify: Many[ChannelName] = []
    """Names of the channels that are notified of failures and recoveries; an administrator defines them."""
    deadline: Deadline | None = None
    """By when a run that came due must have succeeded; else the channels of `notify` are notified."""

    def policy(self, cause: Cause) -> RetryPolicy:
        """Return how runs are tried again after a cause."""
        return self.retries.get(cause) or RetryPolicy(attempts=self.max_attempts)

    @property
    def limits(self) -> KernelLimits:
        """What a kernel may take."""
        return KernelLimits(
            memory_bytes=self.memory_limit_bytes,
            cpus=self.cpu_limit,
            processes=self.process_limit,
            disk_bytes=self.disk_limit_bytes,
        )

    def limited(self, limits: KernelLimits) -> JobSettings:
        """Return the settings with other limits of kernels."""
        return self.model_copy(
            update={
                "memory_limit_bytes": limits.memory_bytes,
                "cpu_limit": limits.cpus,
                "process_limit": limits.processes,
                "disk_limit_bytes": limits.disk_bytes,
            }
        )
