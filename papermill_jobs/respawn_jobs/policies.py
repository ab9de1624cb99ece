"""The settings of a job: how its runs are made, tried again, queued, told of and kept."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from respawn_jobs.wire import LARGEST, LONGEST_SECONDS, Many, Model

MOST_ATTEMPTS = 20
QueueName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
HashSeed = Annotated[str, StringConstraints(pattern=r"^(random|[0-9]{1,10})$")]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Cause(StrEnum):
    """Why an attempt ended without success, as far as it decides whether another is made."""

    CELL_ERROR = "cell_error"
    """A cell raised, or the notebook could not be run at all."""
    DEAD_KERNEL = "dead_kernel"
    """The kernel's process ended: out of memory, killed, crashed, or it did not come up."""
    RUNNER_LOST = "runner_lost"
    """The runner stopped answering: killed, out of memory, its machine gone."""
    TIMEOUT = "timeout"
    """The run or a cell took longer than it may."""


class RetryPolicy(Model):
    """How runs are tried again after one cause; pauses grow exponentially.

    The pause before try n+1 is `delay_seconds * factor ** (n - 1)`, at most `longest_seconds`, made longer or
    shorter by up to the share `jitter`, at random.
    """

    attempts: int = Field(default=1, ge=1, le=MOST_ATTEMPTS)
    """How many attempts may end by this cause before the run does."""
    delay_seconds: float = Field(default=5.0, ge=0, le=LONGEST_SECONDS)
    factor: float = Field(default=2.0, ge=1, le=100)
    longest_seconds: float = Field(default=3600.0, ge=0, le=LONGEST_SECONDS)
    jitter: float = Field(default=0.2, ge=0, le=1)
    resume: bool = True
    """Whether the next attempt goes on from the last checkpoint; else it starts over."""


class Deadline(Model):
    """When a job's runs of a day must have succeeded."""

    time: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """Local time of day, such as `06:00`."""
    tz: str = "UTC"
    """IANA time zone."""


class JobSettings(Model):
    """How runs of a job are made; the same for all its versions."""

    timeout_seconds: float | None = Field(default=None, gt=0, le=LONGEST_SECONDS)
    cell_timeout_seconds: float | None = Field(default=None, gt=0, le=LONGEST_SECONDS)
    max_attempts: int = Field(default=1, ge=1, le=MOST_ATTEMPTS)
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
    strict_resume: bool = False
    """Whether a resume runs again everything from the first change on, and not what depends on it alone."""
    priority: int = Field(default=0, ge=-100, le=100)
    """Runs of a higher priority start before others that wait."""
    queue: QueueName = "default"
    """The queue that its runs wait in; a limit may be set for each."""
    max_parallel: int | None = Field(default=None, ge=1, le=10_000)
    """How many runs of the job may run at once; None for no limit of the job's own."""
    overlap: Literal["queue", "skip", "cancel"] = "queue"
    """What happens to a run that comes due by itself while `max_parallel` (one, when that is None) others
    have not ended. queue: it waits, if there is a limit. skip: it is recorded as cancelled and not executed.
    cancel: the others are cancelled, and it waits for their end."""
    keep_runs: int | None = Field(default=None, ge=1, le=LARGEST)
    """How many ended runs are kept; None for all."""
    keep_days: float | None = Field(default=None, gt=0, le=36_600)
    """How long ended runs are kept; the latest is kept in any case. None for ever."""
    notify: Many[ChannelName] = []
    """Names of the channels that are told of failures and recoveries; an administrator defines them."""
    deadline: Deadline | None = None
    """By when a run that came due must have succeeded; else `notify` is told."""

    def policy(self, cause: Cause) -> RetryPolicy:
        """Return how runs are tried again after a cause."""
        return self.retries.get(cause) or RetryPolicy(attempts=self.max_attempts)
