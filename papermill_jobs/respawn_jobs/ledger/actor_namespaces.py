"""Namespaces as an administrator sees them, in-process: `NamespaceService` over the store."""

from __future__ import annotations

from respawn_jobs.ledger import moving, namespaces
from respawn_jobs.ledger.actor_base import ActorBase
from respawn_jobs.service_namespaces import Namespace


class ActorNamespaces(ActorBase):
    """What one actor can do; each method is told in `respawn_jobs.service_namespaces.NamespaceService`."""

    def namespaces(self) -> list[Namespace]:
        """Return all namespaces."""
        return namespaces.namespaces(self._context, self.actor)

    def retire(self, namespace: str) -> Namespace:
        """Close a namespace for good."""
        return moving.retire(self._context, self.actor, namespace)

    def move(self, namespace: str, new: str) -> Namespace:
        """Give what a namespace holds to another one; a hub's service looks for its user first."""
        return moving.move(self._context, self.actor, namespace, new, None)
