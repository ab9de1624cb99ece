"""Backfills as one person sees them, in-process: `BackfillService` over the store."""

from __future__ import annotations

from respawn_jobs.api.backfills import Backfill, BackfillPreview, BackfillRequest
from respawn_jobs.ledger.people.actor_base import ActorBase
from respawn_jobs.ledger.triggers import backfills


class ActorBackfills(ActorBase):
    """What one actor can do with backfills; described in `respawn_jobs.api.backfills`."""

    def preview_backfill(self, request: BackfillRequest) -> BackfillPreview:
        """Tell what a backfill would make and what is wrong with it."""
        return backfills.preview(self._context, self.actor, request)

    def backfill(self, request: BackfillRequest) -> Backfill:
        """Start a backfill."""
        return backfills.start(self._context, self.actor, request)

    def backfills(self, job: str | None = None, limit: int = 50) -> list[Backfill]:
        """Return backfills, newest first."""
        return backfills.backfills(self._context, self.actor, job, limit)

    def show_backfill(self, backfill: str) -> Backfill:
        """Return one backfill and how far it is."""
        return backfills.show(self._context, self.actor, backfill)

    def stop_backfill(self, backfill: str, *, cancel: bool = False) -> Backfill:
        """Let a backfill make no more runs."""
        return backfills.stop(self._context, self.actor, backfill, cancel=cancel)
