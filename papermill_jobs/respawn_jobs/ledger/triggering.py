"""What the service's loops and its public webhook ask of the ledger about triggers other than schedules."""

from __future__ import annotations

from respawn_jobs.ledger import completing, hooks, watches
from respawn_jobs.ledger.context import Context
from respawn_jobs.service_triggers import HookAnswer


class TriggerLedger:
    """The part of `Ledger` that makes runs out of ended runs, calls and objects."""

    _context: Context

    def follow_ends(self, limit: int = 100) -> tuple[list[str], list[str]]:
        """Make the runs that ended runs complete; see `respawn_jobs.ledger.completing`.

        Returns:
            Ids of the downstream runs, and of ended runs that made trouble and are looked at again.
        """
        return completing.follow_ends(self._context, limit)

    def call_hook(self, hook: str, timestamp: str, signature: str, body: bytes) -> HookAnswer:
        """Make the run that a signed call asks for; see `respawn_jobs.ledger.hooks.call`."""
        return hooks.call(self._context, hook, timestamp, signature, body)

    def forget_calls(self) -> None:
        """Forget signatures of calls that are too old to be used again."""
        hooks.forget_calls(self._context)

    def look(self, every_seconds: float) -> list[str]:
        """Look at the inbox for every watch that is due, and return the ids of the runs that it made."""
        return watches.look(self._context, every_seconds)
