"""Queues as people and their tools see them: settings of jobs, limits, replicas of the service."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from respawn_jobs.api.operation import operation
from respawn_jobs.model.base import Model
from respawn_jobs.model.jobs import Job
from respawn_jobs.model.kernels import OfferedProfile
from respawn_jobs.model.open_values import OPEN

LimitKind = Annotated[Literal["namespace", "user", "queue"], OPEN]
EACH = "*"
"""As a limit's name: each namespace, user or queue that has no limit of its own."""
MAX_RUNS = 100_000


class Limit(Model):
    """How many runs may execute at once in a namespace, for a user, or in a queue."""

    kind: LimitKind
    name: str
    """The namespace, user or queue; `*` for each that has no limit of its own."""
    max_running: int
    running: int | None = None
    """How many runs execute under it now; None for `*`, which many have each for itself."""
    set_by: str
    set_at: datetime


class LimitRequest(Model):
    """A request to set or remove a limit."""

    kind: LimitKind
    name: str
    max_running: int | None = Field(ge=0, le=MAX_RUNS)
    """0 lets nothing start; None removes the limit."""


class Usage(Model):
    """What a namespace uses, and how much it may; None for no limit."""

    namespace: str
    stored_bytes: int
    stored_limit: int | None = None
    unmeasured: int = 0
    """How many blobs do not count yet: they were stored before sizes were counted."""
    waiting: int
    waiting_limit: int | None = None
    executing: int
    executing_limit: int | None = None


class Replica(Model):
    """A process of the service, as it last reported itself."""

    id: str
    host: str
    started_at: datetime
    seen_at: datetime
    alive: bool
    """Whether it was heard of lately."""
    draining: bool
    """Whether it takes no new runs because it is being stopped."""
    slots: int
    """How many runs it may execute at once."""
    busy: int
    health: dict[str, str] = {}
    """The state of each of its loops: `ok`, or what went wrong."""
    release: str = ""
    """The release of its code, such as `0.1`."""


class QueueingService(Protocol):
    """What a person can do about queues, within their scopes."""

    @operation("PATCH", "settings", wakes=True)
    def configure(self, job: str, changes: dict[str, Any]) -> Job:
        """Change those settings of a job that are named, without a new version.

        Args:
            job: the job, by `namespace/name`, bare name or id.
            changes: settings by their names in `JobSettings`; None gives a setting its default back.
                `retries` is changed cause by cause.

        Raises:
            InvalidInput: a setting is unknown or its value is refused; nothing was changed.
        """

    @operation("GET", "profiles")
    def profiles(self, namespace: str | None = None) -> list[OfferedProfile]:
        """Return the profiles that jobs of a namespace may use, with the kernels of their servers.

        Args:
            namespace: whose jobs; None for the caller's own.

        Returns:
            In the administrator's order; empty where jobs run beside the service.

        Raises:
            Forbidden: the caller may not read there.
        """

    @operation("GET", "limits")
    def limits(self) -> list[Limit]:
        """Return the limits that bind the caller: of namespaces they may read, of themselves, of queues."""

    @operation("PUT", "limits", wakes=True)
    def limit(self, request: LimitRequest) -> list[Limit]:
        """Set a limit, or remove it with `max_running` None, and return all; for administrators of all."""

    @operation("GET", "usage")
    def usage(self) -> list[Usage]:
        """Return what the namespaces use that the caller may read, by name."""

    @operation("GET", "replicas")
    def replicas(self) -> list[Replica]:
        """Return the service's replicas, oldest first; for administrators of all namespaces."""
