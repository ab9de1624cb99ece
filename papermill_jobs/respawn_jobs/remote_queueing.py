"""Queues over HTTP."""

from __future__ import annotations

from typing import Any

from respawn_jobs.models import Job
from respawn_jobs.remote_link import RemoteBase, body, query
from respawn_jobs.service_queueing import Limit, LimitRequest, Replica, Usage


class RemoteQueueing(RemoteBase):
    """A hub's service; each method is told in `respawn_jobs.service_queueing.QueueingService`."""

    def configure(self, job: str, changes: dict[str, Any]) -> Job:
        """Change settings of a job without a new version."""
        return self._one(Job, "PATCH", "api/job/settings", **query(ref=job), json=changes)

    def limits(self) -> list[Limit]:
        """Return the limits that bind the caller."""
        return self._many(Limit, "api/limits")

    def limit(self, request: LimitRequest) -> list[Limit]:
        """Set or remove a limit."""
        found = self._link.call("PUT", "api/limits", **body(request)).json()
        return [Limit.model_validate(item) for item in found]

    def usage(self) -> list[Usage]:
        """Return what namespaces use."""
        return self._many(Usage, "api/usage")

    def replicas(self) -> list[Replica]:
        """Return the service's replicas."""
        return self._many(Replica, "api/replicas")
