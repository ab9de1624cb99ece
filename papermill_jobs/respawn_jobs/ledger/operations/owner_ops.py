"""What the service asks of the ledger about the people whom the hub knows."""

from __future__ import annotations

from collections.abc import Mapping

from respawn_jobs.access import Actor
from respawn_jobs.api.namespaces import Namespace
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.namespaces import leavers, namespace_moves, owners


class OwningLedger:
    """The part of `Ledger` that ties namespaces to the hub's users."""

    _context: Context

    def admit(self, name: str, identity: str) -> bool:
        """Return whether the namespace of a user's name is theirs; see `owners.admit`."""
        return owners.admit(self._context, name, identity)

    def missing_owners(self, users: Mapping[str, str | None]) -> list[str]:
        """Return the names of owners who are not among the hub's users."""
        return owners.missing(self._context, users)

    def settle_owners(self, users: Mapping[str, str | None]) -> owners.Settled:
        """Act on what has become of the hub's users; see `owners.settle`."""
        settled = owners.settle(self._context, users)
        settled.stopped = leavers.stop(self._context, settled.left)
        return settled

    def move_namespace(self, actor: Actor, namespace: str, new: str, identity: str | None) -> Namespace:
        """Give what a namespace holds to a user whom the hub has named; see `namespace_moves.move`.

        Args:
            actor: an administrator of all namespaces.
            namespace: what is moved.
            new: its new name; the same one gives it to the user who has that name now.
            identity: the hub's identity of the new owner; None for a team, or where there is no hub.
        """
        return namespace_moves.move(self._context, actor, namespace, new, identity)
