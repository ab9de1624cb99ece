"""What the service's loops and its public webhook ask of the ledger about triggers other than schedules."""

from __future__ import annotations

from respawn_jobs.api.triggers import HookAnswer
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.triggers import completion, sensors, webhooks
from respawn_jobs.ledger.triggers.webhook_signatures import SignedCall


class TriggerLedger:
    """The part of `Ledger` that makes runs out of ended runs, calls and objects."""

    _context: Context

    def trigger_downstream(self, limit: int = 100) -> tuple[list[str], list[str]]:
        """Make the runs that ended runs complete; see `respawn_jobs.ledger.triggers.completion`.

        Returns:
            Ids of the downstream runs, and of ended runs that made trouble and are looked at again.
        """
        return completion.trigger_downstream(self._context, limit)

    def call_hook(self, hook: str, signed: SignedCall, body: bytes) -> HookAnswer:
        """Make the run that a signed call asks for; see `respawn_jobs.ledger.triggers.webhooks.call`.

        Args:
            hook: the webhook's id.
            signed: the call's headers.
            body: empty, or a JSON document `{"parameters": {...}}`.
        """
        return webhooks.call(self._context, hook, signed, body)

    def forget_calls(self) -> None:
        """Forget messages whose signatures are too old to be used again."""
        webhooks.forget_calls(self._context)

    def poke_sensors(self, every_seconds: float) -> list[str]:
        """Poke every sensor that is due, and return the ids of the runs that it made."""
        return sensors.poke_sensors(self._context, every_seconds)
