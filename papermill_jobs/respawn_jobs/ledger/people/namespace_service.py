"""Namespaces as an administrator sees them, in-process: `NamespaceService` over the store."""

from __future__ import annotations

from respawn_jobs.api.namespaces import Namespace
from respawn_jobs.ledger.namespaces import namespace_moves, namespaces
from respawn_jobs.ledger.people.actor_base import ActorBase


class ActorNamespaces(ActorBase):
    """What one actor can do; each method is described in `respawn_jobs.api.namespaces.NamespaceService`."""

    def namespaces(self) -> list[Namespace]:
        """Return all namespaces."""
        return namespaces.namespaces(self._context, self.actor)

    def retire(self, namespace: str) -> Namespace:
        """Close a namespace for good."""
        return namespace_moves.retire(self._context, self.actor, namespace)

    def move(self, namespace: str, new: str) -> Namespace:
        """Give what a namespace holds to another one; a hub's service looks for its user first."""
        return namespace_moves.move(self._context, self.actor, namespace, new, None)
