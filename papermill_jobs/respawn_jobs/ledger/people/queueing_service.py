"""Queues as one person sees them, in-process: `QueueingService` over the store."""

from __future__ import annotations

from typing import Any

from respawn_jobs.api.queueing import Limit, LimitRequest, Replica, Usage
from respawn_jobs.ledger.capacity import replicas, usage
from respawn_jobs.ledger.jobs import kernel_places, settings
from respawn_jobs.ledger.people.actor_base import ActorBase
from respawn_jobs.model.jobs import Job
from respawn_jobs.model.kernels import OfferedProfile


class ActorQueueing(ActorBase):
    """What one actor can do; each method is described in `respawn_jobs.api.queueing.QueueingService`."""

    def configure(self, job: str, changes: dict[str, Any]) -> Job:
        """Change settings of a job without a new version."""
        return settings.configure(self._context, self.actor, job, changes)

    def profiles(self, namespace: str | None = None) -> list[OfferedProfile]:
        """Return the profiles that jobs of a namespace may use; None for the caller's own."""
        return kernel_places.profiles(self._context, self.actor, namespace)

    def limits(self) -> list[Limit]:
        """Return the limits that bind the caller."""
        return settings.limits(self._context, self.actor)

    def limit(self, request: LimitRequest) -> list[Limit]:
        """Set or remove a limit."""
        return settings.set_limit(self._context, self.actor, request)

    def usage(self) -> list[Usage]:
        """Return what namespaces use."""
        return usage.usage(self._context, self.actor)

    def replicas(self) -> list[Replica]:
        """Return the service's replicas."""
        return replicas.replicas(self._context, self.actor)
