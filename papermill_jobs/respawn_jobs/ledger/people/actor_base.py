"""What the parts of `ActorService` share."""

from __future__ import annotations

from respawn_jobs.access import Actor
from respawn_jobs.ledger.context.context import Context


class ActorBase:
    """One person's way into the ledger."""

    _context: Context
    actor: Actor

    def __init__(self, context: Context, actor: Actor) -> None:
        """Serve `context` as `actor` may use it."""
        self._context = context
        self.actor = actor
