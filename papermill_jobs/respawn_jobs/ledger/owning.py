"""What the service asks of the ledger about the people whom the hub knows."""

from __future__ import annotations

from collections.abc import Mapping

from respawn_jobs.access import Actor
from respawn_jobs.ledger import leavers, moving, people
from respawn_jobs.ledger.context import Context
from respawn_jobs.service_namespaces import Namespace


class OwningLedger:
    """The part of `Ledger` that ties namespaces to the hub's users."""

    _context: Context

    def admit(self, name: str, identity: str) -> bool:
        """Tell whether the namespace of a user's name is theirs; see `ledger.people.admit`."""
        return people.admit(self._context, name, identity)

    def missing_owners(self, users: Mapping[str, str | None]) -> list[str]:
        """Return the names of owners who are not among the hub's users."""
        return people.missing(self._context, users)

    def settle_owners(self, users: Mapping[str, str | None]) -> people.Settled:
        """Act on what has become of the hub's users; see `ledger.people.settle`."""
        settled = people.settle(self._context, users)
        settled.stopped = leavers.stop(self._context, settled.left)
        return settled

    def move_namespace(self, actor: Actor, namespace: str, new: str, identity: str | None) -> Namespace:
        """Give what a namespace holds to a user whom the hub has told; see `ledger.moving.move`."""
        return moving.move(self._context, actor, namespace, new, identity)
